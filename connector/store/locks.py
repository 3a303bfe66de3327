"""Advisory lock numbers, in one place so that none is used twice."""

MIGRATE = 7_301
PUBLISH = 7_302
SEAL = 7_303
