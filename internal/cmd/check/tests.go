package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"strings"
)

// counts are the results of Go tests. Subtests are not counted by themselves,
// but for the skipped ones.
type counts struct {
	passed, failed int
	skipped        []string // each with its reason
	failures       []string // what the failed tests and packages wrote

	output map[string]string // what was written, by package and top-level test
	said   map[string]string // the last line with a position, by package and test
	broken map[string]bool   // the packages with a failed test
}

// event is a line of go test -json; see go doc test2json.
type event struct {
	Action, Package, Test, Output, ImportPath, FailedBuild string
}

// tests makes the step that runs all Go tests of a module, with the race detector unless the check is the
// quick one. It prints each package as it ends.
func tests(dir string) func(context.Context, *job) error {
	return func(ctx context.Context, j *job) error { return testsIn(ctx, j, dir) }
}

func testsIn(ctx context.Context, j *job, dir string) error {
	args := []string{"test", "-json", "-timeout=30m"}
	switch {
	case j.check.short:
		args = append(args, "-short")
	case raceDetector(ctx, j):
		args = append(args, "-race")
	default:
		j.progress("without the race detector, which needs cgo and a C compiler")
	}
	cmd := j.command(ctx, "go", append(args, "./...")...)
	cmd.Dir = filepath.Join(j.check.root, dir)
	cmd.Stderr = j.log
	events, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	scanErr := j.tests.read(events, j.log, j.progress)
	if err := wait(ctx, cmd); err != nil {
		return fmt.Errorf("%d tests failed, %d passed: %w", j.tests.failed, j.tests.passed, err)
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
		return
	}
	c.broken[e.Package] = true
	c.failed++
	c.failures = append(c.failures, c.output[e.FailedBuild+" "]+c.output[key])
}

// relevant gives what to show of a failed step's output: of Go tests, only
// what the failed ones wrote.
func (c *counts) relevant(output string) string {
	if len(c.failures) > 0 {
		return strings.Join(c.failures, "\n")
	}
	return output
}
