// Package program finds the program azml for a machine: the agent that drives runs
// elsewhere, and the keeper that serves it, are both that program.
package program

import (
	"cmp"
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
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// Package is the program's import path.
const Package = "github.com/azml-go/azml/cmd/azml"

// AgentPackage is that of the part of it that targets need.
const AgentPackage = Package + "-agent"

// UnpackPackage is that of what unpacks it on targets.
const UnpackPackage = Package + "-unpack"

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
// half as big, where one of the same source lies beside an azml, or else azml where that
// is found, or else has Go build azml-agent.
func (f *Finder) FindAgent(ctx context.Context, on backend.Platform) (string, error) {
	return f.find(ctx, wanted{on: on, agent: true})
}

// FindUnpacker gives azml-unpack for the platform: the one of the same source that lies beside
// what FindAgent gives, where Go builds it, too. Errors: ErrNotFound where there is none.
func (f *Finder) FindUnpacker(ctx context.Context, on backend.Platform) (string, error) {
	agent, err := f.FindAgent(ctx, on)
	if err != nil {
		return "", err
	}
	if unpacker := beside(agent, UnpackPackage, wanted{on: on}); unpacker != "" {
		return unpacker, nil
	}
	return "", fmt.Errorf("%w: no azml-unpack for %s/%s of the same source lies beside %s", azml.ErrNotFound, on.OS, on.Arch, agent)
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
		if err := fits(f.Chosen, Package, want); err != nil {
			return "", fmt.Errorf("%w: the program %s, which was named to drive runs: %w", azml.ErrInvalid, f.Chosen, err)
		}
		return filepath.Abs(cmp.Or(agentBeside(f.Chosen, want), f.Chosen))
	}
	var tried []string
	for _, path := range places(on) {
		if agent := agentBeside(path, want); agent != "" {
			return filepath.Abs(agent)
		}
		err := fits(path, Package, want)
		if err == nil {
			return filepath.Abs(path)
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

// agentBeside gives the azml-agent for the platform that lies beside an azml, which may be
// for another platform itself, and was built of the same source; "" when there is none, or
// an agent will not do.
func agentBeside(azml string, want wanted) string {
	if !want.agent {
		return ""
	}
	return beside(azml, AgentPackage, want)
}

// beside gives the program for the platform that lies beside an azml or azml-agent of the same
// source, "" when there is none.
func beside(azml, program string, want wanted) string {
	name := filepath.Base(program)
	for _, name := range []string{name + "-" + want.on.OS + "-" + want.on.Arch, name} {
		file := filepath.Join(filepath.Dir(azml), name)
		if fits(file, program, want) == nil && sameSource(azml, file) {
			return file
		}
	}
	return ""
}

// oneBuild is how long after what goes with it an azml of the same build may be written.
const oneBuild = time.Minute

// sameSource tells whether a part was built of the same source as an azml or azml-agent. What
// was built of changes that nobody has committed has no version that tells: then the part may
// not be from before.
func sameSource(azml, part string) bool {
	its, err := buildinfo.ReadFile(azml)
	if err != nil || its.Path != Package && its.Path != AgentPackage {
		return false
	}
	parts, err := buildinfo.ReadFile(part)
	if err != nil || its.Main.Version != parts.Main.Version {
		return false
	}
	if version := its.Main.Version; version != "" && version != "(devel)" && !strings.Contains(version, "+dirty") {
		return true
	}
	of, err := os.Stat(azml)
	if err != nil {
		return false
	}
	written, err := os.Stat(part)
	return err == nil && written.ModTime().After(of.ModTime().Add(-oneBuild))
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

// fits gives an error unless the file is the program that is wanted.
func fits(path, program string, want wanted) error {
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		return err
	}
	if info.Path != program {
		return errors.New("it is another program")
	}
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	if got := (backend.Platform{OS: settings["GOOS"], Arch: settings["GOARCH"]}); got != want.on {
		return fmt.Errorf("it is for %s/%s", got.OS, got.Arch)
	}
	if settings["CGO_ENABLED"] != "0" && !want.here {
		return errors.New("it is linked with libraries of this machine: build it with CGO_ENABLED=0")
	}
	return nil
}

// build has Go build the program, where Go and the module's source are there. Go
// knows when nothing is to be done.
func (f *Finder) build(ctx context.Context, want wanted) (string, error) {
	tool, err := exec.LookPath("go")
	if err != nil {
		return "", fmt.Errorf("it can't be built: %w", err)
	}
	on, programs := want.on, []string{Package}
	if want.agent {
		programs = []string{AgentPackage, UnpackPackage}
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
	// Without what debuggers read, which is a third of it: it goes to other machines. And
	// without gRPC's pages of traces, whose templates may call any method by its name, so
	// that the linker would keep all of them.
	cmd := exec.CommandContext(ctx, tool, append([]string{"build", "-tags=grpcnotrace", "-ldflags=-s -w", "-o", work + "/"}, programs...)...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+on.OS, "GOARCH="+on.Arch, "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("it can't be built: %w: %s", err, strings.TrimSpace(string(out)))
	}
	for _, program := range programs {
		name := filepath.Base(program) + ending(on)
		if err := os.Rename(filepath.Join(work, name), filepath.Join(dir, name)); err != nil {
			return "", err
		}
	}
	return filepath.Join(dir, filepath.Base(programs[0])+ending(on)), nil
}

// ending is that of the names of programs that Go builds for a platform.
func ending(on backend.Platform) string {
	if on.OS == "windows" {
		return ".exe"
	}
	return ""
}
