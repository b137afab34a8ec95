package main

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

const (
	// mostAgain is how many tests may have failed for a second look: more of them is
	// no matter of a busy machine.
	mostAgain = 3
	// timesAgain is how often in a row such a test has to pass, alone.
	timesAgain = 3
)

// strict are the packages that keep what people have stored: a test of theirs that
// fails once in a thousand times has found something.
var strict = []string{"backend/azureblob", "backend/filesecrets", "backend/localfs", "backend/memory", "backend/retrying", "internal/core", "internal/files",
	"internal/history", "internal/index", "internal/metrics", "internal/registry", "internal/snapshot", "mirror", "run", "workspace"}

var (
	// strictTests are such tests in other packages: of what is killed, damaged or done by
	// many at once.
	strictTests = regexp.MustCompile(`^Test(.*Killed|Damage|.*AtOnce$)`)
	// raced is what the race detector says, of a process or of a test. It is right also
	// when it says so once.
	raced = regexp.MustCompile(`WARNING: DATA RACE|race detected during execution of test`)
	// ranAll is what a package says that has failed after all its tests were run. One
	// that was cut off, by a panic, its time or an exit, hides what was to come.
	ranAll = regexp.MustCompile(`(?m)^FAIL$`)
)

// again looks once more at the tests that have failed among all others, on a machine
// that had no time left for their servers: each alone, several times. Those that
// pass each time are unsteady, which the report tells; all else stays as it is.
func (j *job) again(ctx context.Context) {
	if len(j.tests.failures) > mostAgain || !slices.ContainsFunc(j.tests.failures, failure.mayPass) {
		return
	}
	var left []failure
	for _, f := range j.tests.failures {
		if f.mayPass() && j.alone(ctx, f) {
			j.tests.unsteady = append(j.tests.unsteady, f)
			continue
		}
		left = append(left, f)
	}
	j.tests.failures = left
}

// mayPass tells whether a second look can excuse the failure.
func (f failure) mayPass() bool {
	inStrict := slices.ContainsFunc(strict, func(folder string) bool { return strings.HasSuffix(f.pkg, "/"+folder) })
	return f.test != "" && !inStrict && !strictTests.MatchString(f.test) && !raced.MatchString(f.output+f.around) && ranAll.MatchString(f.around)
}

// alone runs the test by itself and tells whether it has passed each time.
func (j *job) alone(ctx context.Context, f failure) bool {
	j.progress(fmt.Sprintf("again, alone: %s of %s", f.test, f.pkg))
	args := append(j.testFlags(ctx), fmt.Sprintf("-count=%d", timesAgain), "-failfast", "-run=^"+regexp.QuoteMeta(f.test)+"$", f.pkg)
	var now counts
	return j.goTest(ctx, &now, args) == nil && now.passed == timesAgain
}
