package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
)

// counts are the results of Go tests. Subtests are not counted by themselves,
// but for the skipped ones.
type counts struct {
	passed   int
	failures []failure
	unsteady []failure // passed when they were run again, alone
	skipped  []string  // each with its reason

	output map[string]string // what was written, by package and top-level test
	said   map[string]string // the last line with a position, by package and test
	broken map[string]bool   // the packages with a failed test
}

// failure is a failed test, or a package that failed as a whole.
type failure struct {
	pkg, test string // no test: the package
	output    string // what it wrote
	around    string // of a test: what its package wrote beside its tests
}

// event is a line of go test -json; see go doc test2json.
type event struct {
	Action, Package, Test, Output, ImportPath, FailedBuild string
}

// longest are the packages whose tests take minutes, those that take most first. They
// begin before all others: one that began last would have half of the machine to itself
// for as long as it takes.
var longest = []string{"internal/e2e", "cmd/azml", "backend/kubernetes", "endpoint", "scheduler", "server", "experiment", "internal/testenv"}

// tests runs all Go tests of the module, with the race detector unless the check is the
// quick one. It prints each package as it ends.
func tests(ctx context.Context, j *job) error {
	err := j.goTest(ctx, &j.tests, append(j.testFlags(ctx), j.packages()...))
	if err == nil || ctx.Err() != nil {
		return err
	}
	j.again(ctx)
	if len(j.tests.failures) == 0 && len(j.tests.unsteady) > 0 {
		return nil
	}
	return fmt.Errorf("%d tests failed, %d passed: %w", len(j.tests.failures), j.tests.passed, err)
}

// packages are all that the module has, in the order in which go test is to begin with them.
func (j *job) packages() []string {
	var first []string
	for _, folder := range longest {
		if info, err := os.Stat(filepath.Join(j.check.root, j.module, folder)); err == nil && info.IsDir() {
			first = append(first, "./"+folder)
		}
	}
	return append(first, "./...")
}

// atOnce is how many tests of a package run at once: three for two processors, as the packages
// that take long wait for pods, servers and leases more than they compute. With four for two,
// waits for a run's first word came to their end on a machine that had other work, too.
func atOnce(processors int) int { return processors + (processors+1)/2 }

// testFlags are what go test is told for all tests. It does not vet, which a step of its own
// does, and leaves out what debuggers alone need, with which linking takes longer.
func (j *job) testFlags(ctx context.Context) []string {
	parallel := fmt.Sprintf("-parallel=%d", atOnce(runtime.GOMAXPROCS(0)))
	flags := []string{"test", "-json", "-timeout=60m", "-vet=off", "-ldflags=-s -w", parallel}
	switch {
	case j.check.short:
		return append(flags, "-short")
	case raceDetector(ctx, j):
		return append(flags, "-race")
	}
	j.progress("without the race detector, which needs cgo and a C compiler")
	return flags
}

// goTest runs tests and counts them.
func (j *job) goTest(ctx context.Context, into *counts, args []string) error {
	cmd := j.command(ctx, "go", args...)
	cmd.Stderr = j.log
	events, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	scanErr := into.read(events, j.log, j.progress)
	if err := wait(ctx, cmd); err != nil {
		return err
	}
	return scanErr
}

// read takes in the events of go test -json. What tests wrote goes to log, the
// line that closes each package also to progress.
func (c *counts) read(events io.Reader, log io.Writer, progress func(string)) error {
	c.output, c.said, c.broken = map[string]string{}, map[string]string{}, map[string]bool{}
	lines := bufio.NewScanner(events)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			fmt.Fprintln(log, lines.Text()) // not of a test: go's own words
			continue
		}
		if e.Test == "" && closesPackage.MatchString(e.Output) {
			progress(strings.TrimSpace(e.Output))
		} else {
			fmt.Fprint(log, e.Output)
		}
		c.add(e)
	}
	return lines.Err()
}

var (
	// closesPackage matches go test's closing line of a package with tests.
	closesPackage = regexp.MustCompile(`^(ok  |FAIL)\t`)
	// logLine matches a line that a test logged, with its position.
	logLine = regexp.MustCompile(`^\s+\S+\.go:\d+: (.*)`)
)

// add takes in one event.
func (c *counts) add(e event) {
	top, _, isSub := strings.Cut(e.Test, "/")
	key := e.Package + e.ImportPath + " " + top
	switch e.Action {
	case "output", "build-output":
		c.output[key] += e.Output
		if m := logLine.FindStringSubmatch(e.Output); m != nil {
			c.said[e.Package+" "+e.Test] = m[1]
		}
	case "skip":
		if e.Test != "" {
			name := e.Package + " " + e.Test
			c.skipped = append(c.skipped, name+": "+c.said[name])
		}
	case "pass":
		if e.Test != "" && !isSub {
			c.passed++
			delete(c.output, key)
		}
	case "fail":
		if !isSub {
			c.fail(e, key)
		}
	}
}

// fail takes in the failure of a test, or of a package: this counts only when
// none of its tests failed, as it is with one that can't be built.
func (c *counts) fail(e event, key string) {
	if e.Test == "" && c.broken[e.Package] {
		for i := range c.failures {
			if c.failures[i].pkg == e.Package {
				c.failures[i].around = c.output[key]
			}
		}
		return
	}
	c.broken[e.Package] = true
	c.failures = append(c.failures, failure{pkg: e.Package, test: e.Test, output: c.output[e.FailedBuild+" "] + c.output[key]})
}

// relevant gives what to show of a failed step's output: of Go tests, only
// what the failed ones wrote.
func (c *counts) relevant(output string) string {
	if len(c.failures) == 0 {
		return output
	}
	var all []string
	for _, f := range c.failures {
		all = append(all, f.output)
	}
	return strings.Join(all, "\n")
}
