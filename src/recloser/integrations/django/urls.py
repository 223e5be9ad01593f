"""The health routes: `path("circuits/", include("recloser.integrations.django.urls"))`."""

from __future__ import annotations

from django.urls import path

from .views import route

app_name = "recloser"
urlpatterns = [path("", route, name="index"), path("<path:path>", route, name="route")]
