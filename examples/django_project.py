"""Django in one file: breakers from the settings, rejections as 503, health routes."""

import django
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import include, path

from recloser.integrations.django import configured

settings.configure(
    ALLOWED_HOSTS=["testserver"],
    INSTALLED_APPS=["recloser.integrations.django"],
    MIDDLEWARE=["recloser.integrations.django.middleware.RejectionMiddleware"],
    RECLOSER={"breakers": {"payments": {"trip": 3}}, "tell": ("name",)},
    ROOT_URLCONF=__name__,
)
django.setup()

payments = configured().breaker("payments")


@payments
def charge(request: HttpRequest) -> HttpResponse:
    return HttpResponse("charged")


circuits = include("recloser.integrations.django.urls")
urlpatterns = [path("charge", charge), path("circuits/", circuits)]

client = Client()
print(client.get("/charge").content)
payments.force_open()
print(client.get("/charge").json()["breaker"])
print(client.get("/circuits/breakers/payments").json()["state"])
# b'charged'
# payments
# forced_open
