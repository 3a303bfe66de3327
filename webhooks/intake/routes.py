"""`/in/<token>` and the Web-to-Lead door."""

import logging
import re
from uuid import UUID

import orjson
from flask import Blueprint, Response, request
from werkzeug.exceptions import Forbidden, MethodNotAllowed, NotFound, TooManyRequests, UnsupportedMediaType

from connector.flows.accept import accept
from webhooks.bodies import read_body
from webhooks.deliveries import delivery_of
from webhooks.doors import Door
from webhooks.edge import edge
from webhooks.errors import refuse_unverified
from webhooks.intake.peek import peek
from webhooks.intake.quarantine import keep_rejected
from webhooks.intake.returning import safe_return
from webhooks.limits import FORMS, UNKNOWN_OID, Rate, network
from webhooks.public.pages import thanks_address
