"""Where the views are."""

from __future__ import annotations

from django.urls import include, path

from . import views

urlpatterns = [
    path("circuits/", include("recloser.integrations.django.urls")),
    path("sync", views.sync),
    path("async", views.in_task),
    path("group", views.group),
    path("mixed", views.mixed),
    path("stream", views.stream),
    path("token", views.token),
]
