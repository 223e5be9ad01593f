/* `after_failure` of src/recloser/_core/budget.py, for long simulations.

   The same operations in the same order, so the same numbers; only for a budget with
   unacceptable = 0.5, a breaker that saw a success, and a rule that begins anew when it
   opens. `tests/benchmarks/test_detection.py` compares the two. */

#include <math.h>
#include <stdint.h>

struct budget {
    double per_second, settle, gain, floor, ceiling;
    double memory, known, held, fades, idle, tick, shortly, fewest, ln2;
};

struct score {
    double failures, calls, peak, peak_at; /* learned */
    double last, unit, evidence, run_failures, run_calls, began;
};

static double larger(double a, double b) { return a > b ? a : b; }
static double smaller(double a, double b) { return a < b ? a : b; }

static void learn(const struct budget *b, struct score *s, double calls, double now)
{
    double kept = exp(-calls / b->memory);
    s->failures = s->failures * kept + s->run_failures;
    s->calls = s->calls * kept + calls;
    double usual = (s->failures + 2 + 2 * sqrt(s->failures + 1)) / s->calls;
    if (s->calls >= b->known) {
        double since = larger(0.0, now - s->peak_at);
        usual = larger(usual, s->peak * exp(-b->ln2 * since / b->held));
        s->peak = smaller(usual, b->ceiling);
        s->peak_at = now;
    }
    usual = smaller(larger(usual, b->floor), b->ceiling);
    s->unit = log((sqrt(1 + 4 * (1 - usual) / usual) - 1) / 2);
}

static int failed(const struct budget *b, struct score *s, double good, double now)
{
    double elapsed = larger(0.0, now - s->last);
    double apart = smaller(larger(elapsed / (good + 1), b->tick), b->idle);
    double bottom = log(b->per_second * apart);
    double left = s->evidence - (good * s->unit + b->ln2 * elapsed / b->fades);
    if (left <= bottom) {
        learn(b, s, s->run_calls + good, now);
        left = bottom;
        s->run_failures = s->run_calls = 0;
        s->began = now;
    } else {
        s->run_calls += good;
    }
    s->run_failures += 1;
    s->run_calls += 1;
    s->last = larger(now, s->last);
    s->evidence = left + b->gain * s->unit;
    if (s->evidence < 0)
        return 0;
    if (now - s->began < b->settle) {
        s->evidence = b->shortly - b->gain * s->unit;
        return 0;
    }
    return s->run_failures >= b->fewest;
}

/* Return the place of the first failure that opens it, from `place` on, or `end`. */
int64_t opens(const struct budget *b, struct score *s, int64_t *before,
              const int64_t *numbers, const double *times, int64_t place, int64_t end)
{
    for (; place < end; place++) {
        double good = (double)(numbers[place] - *before - 1);
        *before = numbers[place];
        if (failed(b, s, good, times[place]))
            return place;
    }
    return end;
}
