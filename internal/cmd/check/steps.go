package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/azml-go/azml/internal/testenv"
)

// step is one thing to check.
type step struct {
	name  string
	short bool // also part of the quick check
	run   func(ctx context.Context, j *job) error
}

// steps are all steps, in the order they run: those that are quick to fail
// come first.
var steps = []step{
	{"abilities", true, abilities},
	{"room", false, room},
	{"format", true, format},
	{"tidy", true, command("go", "mod", "tidy", "-diff")},
	{"vet", true, vet("")},
	{"vet-darwin", false, vet("darwin")},
	{"vet-windows", false, vet("windows")},
	{"lint", false, lint},
	{"test", true, tests},
	{"onnx", false, nested("onnx", testenv.AbilityONNX)},
	{"example-quickstart", true, example("quickstart")},
	{"example-script", false, example("script", testenv.AbilityPython, testenv.AbilityPythonVenv)},
	{"example-mlflow", false, example("mlflow", testenv.AbilityPython, testenv.AbilityPythonVenv)},
	{"example-many", false, example("many")},
	{"import", true, importFromOutside},
}

func stepNames() []string {
	var names []string
	for _, s := range steps {
		names = append(names, s.name)
	}
	return names
}

// errSkip marks a step that could not run, which is no failure.
var errSkip = errors.New("skipped")

// abilities finds or installs what the tests need, and fails when something is
// missing that must be there.
func abilities(ctx context.Context, j *job) error {
	j.check.prepared = testenv.Prepare(ctx, j.progress)
	if lacks := j.check.prepared.Lacks(j.check.must); len(lacks) > 0 {
		return fmt.Errorf("missing, though -must names it: %s", strings.Join(lacks, ", "))
	}
	return ctx.Err()
}

// roomNeeded is what the whole check takes of the disk, and some more. Measured: 11 GiB while
// it runs with all installed; 10 of what it installs; what Go has compiled afterwards, 13, of
// which the run's 11 have a part.
const roomNeeded = 30 * testenv.GiB

// room fails when the disks that the check writes to are too full: tests would fail
// somewhere, and hardly tell why.
func room(ctx context.Context, j *job) error {
	compiled, err := j.output(ctx, "go", "env", "GOCACHE")
	if err != nil {
		return err
	}
	installed, err := testenv.CacheDir()
	if err != nil {
		return err
	}
	for _, dir := range []string{os.TempDir(), strings.TrimSpace(compiled), installed} {
		if err := testenv.Room(dir, roomNeeded); err != nil {
			return fmt.Errorf("%w; go clean -cache and removing %s give some back", err, installed)
		}
	}
	return nil
}

// command makes a step of a plain command.
func command(name string, args ...string) func(context.Context, *job) error {
	return func(ctx context.Context, j *job) error { return j.exec(ctx, nil, name, args...) }
}

func format(ctx context.Context, j *job) error {
	files, err := j.output(ctx, "gofmt", "-l", ".")
	if err != nil {
		return err
	}
	if files != "" {
		return fmt.Errorf("not formatted, run gofmt -w on: %s", strings.Join(strings.Fields(files), " "))
	}
	return nil
}

// vet makes the step that vets the module, and so compiles it with its tests,
// for one operating system; "" is this one.
func vet(goos string) func(context.Context, *job) error {
	return func(ctx context.Context, j *job) error {
		var env []string
		if goos != "" {
			env = []string{"GOOS=" + goos, "CGO_ENABLED=0"}
		}
		return j.exec(ctx, env, "go", "vet", "./...")
	}
}

// lint builds the linter, which has a module file of its own so that its two
// hundred dependencies are none of the library's, and runs it. Building takes
// two minutes the first time; then go's cache has it. Where it can't be built,
// as without a network, people go without; continuous integration does not.
func lint(ctx context.Context, j *job) error {
	linter, err := j.output(ctx, "go", "-C", filepath.Join(j.check.root, "internal", "cmd", "check", "tools"), "tool", "-n", "golangci-lint")
	if err != nil && os.Getenv("CI") == "" {
		return fmt.Errorf("%w: the linter can't be built: %w", errSkip, err)
	}
	if err != nil {
		return err
	}
	return j.exec(ctx, nil, strings.TrimSpace(linter), "run", "./...")
}

// example makes the step that runs one example to its end. It is skipped when
// an ability is missing that the example needs.
func example(name string, needs ...string) func(context.Context, *job) error {
	return func(ctx context.Context, j *job) error {
		dir := filepath.Join("examples", name)
		if _, err := os.Stat(filepath.Join(j.check.root, dir)); err != nil {
			return fmt.Errorf("%w: %s is not in this tree", errSkip, dir)
		}
		for _, ability := range j.check.prepared.Lacks(needs) {
			return fmt.Errorf("%w: %s is missing: %s", errSkip, ability, j.check.prepared.Missing[ability])
		}
		return j.exec(ctx, nil, "go", "run", "./"+filepath.ToSlash(dir))
	}
}

// nested makes the step that checks a module of its own within the repository, all at
// once. It is skipped when an ability is missing that the module needs.
func nested(dir string, needs ...string) func(context.Context, *job) error {
	return func(ctx context.Context, j *job) error {
		for _, ability := range j.check.prepared.Lacks(needs) {
			return fmt.Errorf("%w: %s is missing: %s", errSkip, ability, j.check.prepared.Missing[ability])
		}
		if !raceDetector(ctx, j) {
			return fmt.Errorf("%w: it needs cgo and a C compiler", errSkip)
		}
		j.module = dir
		for _, check := range []func(context.Context, *job) error{command("go", "mod", "tidy", "-diff"), vet(""), lint, tests} {
			if err := check(ctx, j); err != nil && !errors.Is(err, errSkip) {
				return err
			}
		}
		return nil
	}
}

// raceDetector tells whether this machine can build with the race detector,
// which needs cgo and a C compiler.
func raceDetector(ctx context.Context, j *job) bool {
	env, err := j.output(ctx, "go", "env", "CGO_ENABLED", "CC")
	fields := strings.Fields(env)
	if err != nil || len(fields) < 2 || fields[0] != "1" {
		return false
	}
	_, err = exec.LookPath(fields[1])
	return err == nil
}
