"""The vocabulary: frozen values, one file per aggregate. Imports nothing of ours."""
