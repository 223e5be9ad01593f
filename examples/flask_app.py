"""Flask: breakers from the configuration, rejections as 503, health routes."""

from flask import Flask

from recloser.integrations.flask import health, reject, settings

app = Flask(__name__)
app.config["RECLOSER"] = {"breakers": {"payments": {"trip": 1, "recovery": 30}}}
payments = settings(app).breaker("payments")
reject(app, tell=("name", "state"))
app.register_blueprint(health(), url_prefix="/circuits")


@app.get("/charge")
@payments
def charge() -> str:
    raise ConnectionError


app.logger.disabled = True  # of the traceback of the first failure
client = app.test_client()
print(client.get("/charge").status)
print({**client.get("/charge").json}["breaker"], payments.state)
print(client.get("/circuits/?state=open").json["breakers"][0]["reason"])
# 500 INTERNAL SERVER ERROR
# payments open
# 1 failure in a row
