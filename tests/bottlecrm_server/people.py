"""Who works in the organisation: the integration, two reps, and one who left."""

US, ANNA, BERT, CARL = "hearback@example.com", "anna@example.com", "bert@example.com", "carl@example.com"
PEOPLE = (
    {"email": US, "name": "Hearback", "role": "ADMIN", "active": True},
    {"email": ANNA, "name": "Anna Kern", "role": "USER", "active": True},
    {"email": BERT, "name": "Bert Lang", "role": "USER", "active": False},
    {"email": CARL, "name": "Carl Voss", "role": "USER", "active": True},
)
