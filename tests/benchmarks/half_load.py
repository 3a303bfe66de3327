"""(g) How long an acknowledgement takes at half of the load the door can bear, both measured in one run (I2)."""

from typing import Any

from tests.benchmarks.rig import TOKENS, Rig, form_body, load, percentile

CONNECTIONS = 16
POSTS = 6_000
ROUNDS = 3
SECONDS = 8
OFFSET = 7_000_000


def bench(rig: Rig) -> dict[str, Any]:
    """Find the peak with as many posts as the door takes, then post at half that rate, whatever the answers do.

    The best round of each counts: what others do on the machine only ever slows.
    """
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
        peak, crowded = max(peaks)
        rate, first = peak / 2, OFFSET + (ROUNDS + 1) * POSTS
        count = round(rate * SECONDS)
        halves = [
            load(url, [form_body(first + r * count + n) for n in range(count)], connections=64, rate=rate)
            for r in range(ROUNDS)
        ]
    best = min(halves, key=lambda each: percentile(each["latencies"], 0.99))
    half_p99 = percentile(best["latencies"], 0.99)
    return {
        "peak_posts_per_second": round(peak),
        "peak_p99_ms": round(1000 * crowded, 1),
        "half_rate": f"{rate:.0f}/s for {SECONDS} s",
        "half_p50_ms": round(1000 * percentile(best["latencies"], 0.5), 1),
        "half_p99_ms": round(1000 * half_p99, 1),
        "p99_half_to_peak": round(half_p99 / crowded, 2),
        "all_half_p99_ms": ", ".join(f"{1000 * percentile(each['latencies'], 0.99):.0f}" for each in halves),
        "answers": [each["statuses"] for each in halves],
        "wanted": "half_p99 < 1000 ms (I2); aim 25 ms; every answer 200",
    }
