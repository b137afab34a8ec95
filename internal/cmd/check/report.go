package main

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// verdict is how a step ended.
type verdict string

// The verdicts.
const (
	passed  verdict = "ok"
	failed  verdict = "FAIL"
	skipped verdict = "skip"
)

func (r result) verdict() verdict {
	switch {
	case r.err == nil:
		return passed
	case errors.Is(r.err, errSkip):
		return skipped
	}
	return failed
}

// line tells of the step in one line.
func (r result) line() string {
	note := ""
	if r.err != nil {
		note = strings.TrimPrefix(r.err.Error(), errSkip.Error()+": ")
	} else if n := r.tests.passed; n > 0 {
		note = fmt.Sprintf("%d tests passed, %d unsteady, %d skipped", n, len(r.tests.unsteady), len(r.tests.skipped))
	}
	return strings.TrimSpace(fmt.Sprintf("%-4s %-20s %7s  %s", r.verdict(), r.name, r.took.Round(100*time.Millisecond), note))
}

// report prints the table of all steps, what was skipped, and the counts, and
// gives the exit code.
func (c *checker) report() int {
	fmt.Fprintln(c.out, "\nSummary (whole output in .ci/out)")
	for _, r := range c.results {
		fmt.Fprintln(c.out, r.line())
	}
	for _, r := range c.results {
		for _, s := range r.tests.skipped {
			fmt.Fprintln(c.out, "skipped test", s)
		}
	}
	for _, r := range c.results {
		for _, f := range r.tests.unsteady {
			fmt.Fprintf(c.out, "unsteady test %s %s: it failed among all others, and passed %d times alone. The first time it said:\n%s\n", f.pkg, f.test, timesAgain, f.words())
		}
	}
	pass, fail, skip := c.totals()
	fmt.Fprintf(c.out, "%d passed, %d failed, %d skipped\n", pass, fail, skip)
	if fail > 0 {
		return 1
	}
	return 0
}

// words are what the test itself has written, without go test's lines about it.
func (f failure) words() string {
	lines := strings.Split(strings.TrimSpace(f.output), "\n")
	return strings.Join(slices.DeleteFunc(lines, verdictLine.MatchString), "\n")
}

// verdictLine matches what go test says of tests.
var verdictLine = regexp.MustCompile(`^\s*(===|---) `)

// totals counts steps, and instead of the step that runs the Go tests, each of
// these.
func (c *checker) totals() (pass, fail, skip int) {
	for _, r := range c.results {
		pass += r.tests.passed + len(r.tests.unsteady)
		fail += len(r.tests.failures)
		skip += len(r.tests.skipped)
		switch v := r.verdict(); {
		case v == skipped:
			skip++
		case v == failed && len(r.tests.failures) == 0:
			fail++
		case v == passed && r.tests.passed == 0:
			pass++
		}
	}
	return pass, fail, skip
}
