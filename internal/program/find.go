// Package program finds the program azml for a machine: the agent that drives runs
// elsewhere, and the keeper that serves it, are both that program.
package program

import (
	"context"
	"debug/buildinfo"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// Package is the program's import path.
const Package = "github.com/azml-go/azml/cmd/azml"

// AgentPackage is that of the part of it that targets need.
const AgentPackage = Package + "-agent"

// Finder finds the program, once for each platform. It is safe for concurrent use.
type Finder struct {
	// Chosen is the file that the user has named; empty to look for one.
	Chosen string
	// CacheDir is where programs are built.
	CacheDir string

	mu      sync.Mutex
	found   map[wanted]string
	digests map[string]digest // by paths
}

// wanted is what is looked for: a program for a platform, which is this machine or
// another one.
type wanted struct {
	on    backend.Platform
	here  bool
	agent bool
}

// Close implements io.Closer: there is nothing to close.
func (*Finder) Close() error { return nil }

// Find gives the file of the program for the platform: the one that was chosen, or
// else the first that fits of this program itself, what lies beside it, what is in
// PATH, and what Go builds. It is linked statically, as CGO_ENABLED=0 gives it: it
// runs in any container, and anywhere over SSH. Errors: ErrInvalid for a chosen one that
// doesn't fit, ErrNotFound with what to do.
func (f *Finder) Find(ctx context.Context, on backend.Platform) (string, error) {
	return f.find(ctx, wanted{on: on})
}

// FindHere is Find for this machine itself, where a program that is linked with the
// machine's libraries will do, as "go install" makes one.
func (f *Finder) FindHere(ctx context.Context) (string, error) {
	return f.find(ctx, wanted{on: backend.Platform{OS: runtime.GOOS, Arch: runtime.GOARCH}, here: true})
}

// FindAgent is Find for who needs no more than an agent and jobs: it gives azml-agent,
// a third as big, where one of the same version lies beside the azml that Find gives
// without having Go build one, or else has Go build azml-agent.
func (f *Finder) FindAgent(ctx context.Context, on backend.Platform) (string, error) {
	return f.find(ctx, wanted{on: on, agent: true})
}

func (f *Finder) find(ctx context.Context, want wanted) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if path := f.found[want]; path != "" {
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	path, err := f.look(ctx, want)
	if err != nil {
		return "", err
	}
	if f.found == nil {
		f.found = map[wanted]string{}
	}
	f.found[want] = path
	return path, nil
}

func (f *Finder) look(ctx context.Context, want wanted) (string, error) {
	on := want.on
	if f.Chosen != "" {
		version, err := fits(f.Chosen, Package, want)
		if err != nil {
			return "", fmt.Errorf("%w: the program %s, which was named to drive runs: %w", azml.ErrInvalid, f.Chosen, err)
		}
		return instead(f.Chosen, version, want)
	}
	var tried []string
	for _, path := range places(on) {
		version, err := fits(path, Package, want)
		if err == nil {
			return instead(path, version, want)
		}
		if !errors.Is(err, os.ErrNotExist) {
			tried = append(tried, fmt.Sprintf("%s: %v", path, err))
		}
	}
	path, err := f.build(ctx, want)
	if err == nil {
		return path, nil
	}
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	tried = append(tried, err.Error())
	return "", fmt.Errorf("%w: no program azml for %s/%s, which drives runs that go on elsewhere: name it (Program of workspace.OpenOptions), put it beside this program or into PATH, "+
		"or build it with CGO_ENABLED=0 GOOS=%[2]s GOARCH=%[3]s go build %s; tried: %s", azml.ErrNotFound, on.OS, on.Arch, Package, strings.Join(tried, "; "))
}

// instead gives the file of azml, or where an agent will do, of the one beside it that
// was built of the same source.
func instead(path, version string, want wanted) (string, error) {
	if want.agent {
		for _, name := range []string{"azml-agent-" + want.on.OS + "-" + want.on.Arch, "azml-agent"} {
			agent := filepath.Join(filepath.Dir(path), name)
			if its, err := fits(agent, AgentPackage, want); err == nil && its == version {
				return filepath.Abs(agent)
			}
		}
	}
	return filepath.Abs(path)
}

// places lists where the program may be. Beside this program there may be one for
// each platform, such as azml-linux-arm64.
func places(on backend.Platform) []string {
	var all []string
	named := "azml-" + on.OS + "-" + on.Arch
	if self, err := os.Executable(); err == nil {
		dir := filepath.Dir(self)
		all = append(all, self, filepath.Join(dir, named), filepath.Join(dir, "azml"))
	}
	for _, name := range []string{named, "azml"} {
		if path, err := exec.LookPath(name); err == nil {
			all = append(all, path)
		}
	}
	return all
}

// fits gives the version of the file's source, and an error unless it is the program
// that is wanted.
func fits(path, program string, want wanted) (version string, err error) {
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		return "", err
	}
	if info.Path != program {
		return "", errors.New("it is another program")
	}
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	if got := (backend.Platform{OS: settings["GOOS"], Arch: settings["GOARCH"]}); got != want.on {
		return "", fmt.Errorf("it is for %s/%s", got.OS, got.Arch)
	}
	if settings["CGO_ENABLED"] != "0" && !want.here {
		return "", errors.New("it is linked with libraries of this machine: build it with CGO_ENABLED=0")
	}
	return info.Main.Version, nil
}

// build has Go build the program, where Go and the module's source are there. Go
// knows when nothing is to be done.
func (f *Finder) build(ctx context.Context, want wanted) (string, error) {
	tool, err := exec.LookPath("go")
	if err != nil {
		return "", fmt.Errorf("it can't be built: %w", err)
	}
	on, program := want.on, Package
	if want.agent {
		program = AgentPackage
	}
	dir := filepath.Join(f.CacheDir, "programs", on.OS+"-"+on.Arch)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	work, err := os.MkdirTemp(dir, ".build-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(work)
	name := filepath.Base(program)
	file := filepath.Join(work, name)
	// Without what debuggers read, which is a third of it: it goes to other machines. And
	// without gRPC's pages of traces, whose templates may call any method by its name, so
	// that the linker would keep all of them.
	cmd := exec.CommandContext(ctx, tool, "build", "-tags=grpcnotrace", "-ldflags=-s -w", "-o", file, program)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+on.OS, "GOARCH="+on.Arch, "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("it can't be built: %w: %s", err, strings.TrimSpace(string(out)))
	}
	path := filepath.Join(dir, name)
	return path, os.Rename(file, path)
}
