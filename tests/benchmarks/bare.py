"""The named alternative of bench (a): Flask, one INSERT, commit, answer."""

import os

from flask import Flask, request
from psycopg_pool import ConnectionPool

app = Flask(__name__)
pool = ConnectionPool(os.environ["HEARBACK_DATABASE_URL"], min_size=1, max_size=4, open=True)


@app.route("/", methods=["GET", "POST"])
def keep() -> str:
    with pool.connection() as connection:
        connection.execute("INSERT INTO bare (body) VALUES (%s)", (request.get_data(),))
    return "ok"
