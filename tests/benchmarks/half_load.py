"""(g) How long an acknowledgement takes at half of the load the door can bear, both measured in one run (I2)."""

from typing import Any

from tests.benchmarks.rig import TOKENS, Rig, form_body, load, percentile

CONNECTIONS = 16
POSTS = 6_000
ROUNDS = 3
SECONDS = 15
OFFSET = 7_000_000


def bench(rig: Rig) -> dict[str, Any]:
    """Find the peak with as many posts as the door takes, then post at half that rate, whatever the answers do."""
    with rig.web() as address:
        url = f"{address}/in/{TOKENS['HEARBACK_FORM_TOKEN']}"
        peaks = []
        for number in range(ROUNDS + 1):
            first = OFFSET + number * POSTS
            full = load(url, [form_body(first + n) for n in range(POSTS)], connections=CONNECTIONS)
            assert full["statuses"] == {"200": POSTS}, full["statuses"]
            # The first round warms up.
            if number:
                peaks.append((POSTS / full["seconds"], percentile(full["latencies"], 0.99)))
        peak, crowded = sorted(peaks)[ROUNDS // 2]
        rate, first = peak / 2, OFFSET + (ROUNDS + 1) * POSTS
        half = load(url, [form_body(first + n) for n in range(round(rate * SECONDS))], connections=64, rate=rate)
    return {
        "peak_posts_per_second": round(peak),
        "peak_p99_ms": round(1000 * crowded, 1),
        "half_rate": f"{rate:.0f}/s for {SECONDS} s",
        "half_p50_ms": round(1000 * percentile(half["latencies"], 0.5), 1),
        "half_p99_ms": round(1000 * percentile(half["latencies"], 0.99), 1),
        "p99_half_to_peak": round(percentile(half["latencies"], 0.99) / crowded, 2),
        "answers": half["statuses"],
        "wanted": "half_p99 < 1000 ms (I2); aim 25 ms; every answer 200",
    }
