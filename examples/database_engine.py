"""An engine behind a breaker: an outage trips it, a typo does not."""

from sqlalchemy import create_engine, exc, text

from recloser import CircuitBreaker
from recloser.integrations.sqlalchemy import guard

orders = CircuitBreaker("orders", trip=2)
working = guard(create_engine("sqlite://"), orders)
down = guard(create_engine("sqlite:////no/such/folder/orders.db"), orders)


def ask(engine, statement):
    try:
        with engine.connect() as connection:
            answer = connection.execute(text(statement)).scalar()
    except exc.OperationalError as error:  # a rejection is one, too
        answer = type(error).__name__
    print(f"{statement}: {answer}, {orders.state}")


ask(working, "select 'paid'")
ask(working, "selec 'paid'")
ask(working, "selec 'paid'")
ask(down, "select 'paid'")
ask(down, "select 'paid'")
ask(down, "select 'paid'")
working.dispose()

# select 'paid': paid, closed
# selec 'paid': OperationalError, closed
# selec 'paid': OperationalError, closed
# select 'paid': OperationalError, closed
# select 'paid': OperationalError, open
# select 'paid': SqlalchemyCircuitOpenError, open
