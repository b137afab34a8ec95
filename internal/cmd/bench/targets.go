package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/docker"
	"github.com/azml-go/azml/backend/kubernetes"
	"github.com/azml-go/azml/backend/process"
	azmlssh "github.com/azml-go/azml/backend/ssh"
	"github.com/azml-go/azml/compute"
	"github.com/azml-go/azml/experiment"
	"github.com/azml-go/azml/internal/testenv"
)

// place is a kind of compute target that is measured.
type place struct {
	name      string
	config    compute.Config // nil for this machine
	floorName string
	// slack is what a run may cost beside 1.3 of its floor, in milliseconds.
	slack float64
	// bare runs a command there to its end without the library; its output goes to out.
	bare func(ctx context.Context, out io.Writer, command ...string) error
}

// benchTargets measures runs on each kind of compute target beside the same command
// without the library: exec, a session of SSH, docker run.
func benchTargets(ctx context.Context, b *bench) error {
	shared, err := os.MkdirTemp("", "azml-bench-shared-") // whose parents containers' users may pass
	if err != nil {
		return err
	}
	defer os.RemoveAll(shared)
	if err := os.Chmod(shared, 0o777); err != nil { // jobs run as anybody
		return err
	}
	dir, err := b.sub("targets")
	if err != nil {
		return err
	}
	local := place{name: "local", floorName: "exec", bare: execHere}
	apart := place{name: "process", floorName: "exec", bare: execHere,
		config: process.Target{Dir: filepath.Join(dir, "apart"), CacheDir: filepath.Join(dir, "apart-cache")}}
	measures := []measure{(*onTarget).measureOverhead, (*onTarget).measureLogs, (*onTarget).measureMany}
	err = errors.Join(b.benchTarget(ctx, shared, local, measures...), b.benchTarget(ctx, shared, apart, measures...))
	for _, start := range []func(ctx context.Context, dir, shared string) (place, func(), error){sshPlace, dockerPlace} {
		p, stop, startErr := start(ctx, dir, shared)
		if startErr != nil {
			fmt.Fprintln(b.log, "a target is left out:", startErr)
			continue
		}
		err = errors.Join(err, b.benchTarget(ctx, shared, p, measures...))
		stop()
	}
	return err
}

func execHere(ctx context.Context, out io.Writer, command ...string) error {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Stdout = out
	return cmd.Run()
}

func sshPlace(ctx context.Context, dir, _ string) (place, func(), error) {
	server, stop, err := testenv.LaunchSSHD(ctx)
	if err != nil {
		return place{}, nil, err
	}
	key, err := ssh.ParsePrivateKey(server.Key)
	if err != nil {
		stop()
		return place{}, nil, err
	}
	config := &ssh.ClientConfig{User: server.User, Auth: []ssh.AuthMethod{ssh.PublicKeys(key)}, HostKeyCallback: ssh.InsecureIgnoreHostKey()} //nolint:gosec // on loopback
	return place{name: "SSH", floorName: "a connection of SSH, and a session in it",
		config: azmlssh.Target{Address: "127.0.0.1", Port: server.Port, Username: server.User, Credential: azmlssh.Credential{PrivateKey: server.Key},
			HostKey: server.HostKey, Dir: filepath.Join(dir, "far"), CacheDir: filepath.Join(dir, "far-cache")},
		bare: func(_ context.Context, out io.Writer, command ...string) error {
			return sessionThere(net.JoinHostPort("127.0.0.1", strconv.Itoa(server.Port)), config, out, command)
		}}, stop, nil
}

// sessionThere runs a command over a new connection, which is tried again when the
// server hangs up for there are too many.
func sessionThere(address string, config *ssh.ClientConfig, out io.Writer, command []string) error {
	var client *ssh.Client
	var err error
	for wait := 20 * time.Millisecond; wait < 10*time.Second; wait *= 2 {
		if client, err = ssh.Dial("tcp", address, config); err == nil {
			break
		}
		time.Sleep(wait)
	}
	if err != nil {
		return err
	}
	defer client.Close()
	session, err := client.NewSession()
	if err != nil {
		return err
	}
	session.Stdout = out
	words := make([]string, len(command))
	for i, word := range command {
		words[i] = "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
	}
	return session.Run(strings.Join(words, " "))
}

func dockerPlace(ctx context.Context, _, shared string) (place, func(), error) {
	engine, stop, err := testenv.LaunchDocker(ctx)
	if err != nil {
		return place{}, nil, err
	}
	return place{name: "Docker", floorName: "docker run --rm",
		config: docker.Config{Host: engine.Host, Image: testenv.DockerImage, BuildNetwork: "host", Network: "none", Mounts: []docker.Mount{{Source: shared, Target: shared}}},
		bare: func(ctx context.Context, out io.Writer, command ...string) error {
			return execHere(ctx, out, append([]string{"docker", "-H", engine.Host, "run", "--rm", "--network", "none", "--user", "65532:65532",
				"-v", shared + ":" + shared, testenv.DockerImage}, command...)...)
		}}, stop, nil
}

// onTarget is a workspace with a target that is ready: program and image are there.
type onTarget struct {
	place
	*space
	exp    *experiment.Experiment
	source string
	shared string
}

// measure measures something on a target.
type measure func(o *onTarget, ctx context.Context, b *bench) error

func (b *bench) benchTarget(ctx context.Context, shared string, p place, measures ...measure) (err error) {
	s, err := b.newSpaceOf(ctx, []backend.ComputeDriver{process.ComputeDriver{}, azmlssh.ComputeDriver{}, docker.Kind{}, kubernetes.Kind{}})
	if err != nil {
		return err
	}
	defer s.close(ctx)
	if p.config != nil {
		if _, err := s.Compute().Create(ctx, "target", p.config, nil); err != nil {
			return err
		}
	}
	o := &onTarget{place: p, space: s, shared: shared}
	if o.exp, err = s.Experiments().CreateOrUpdate(ctx, "bench", nil); err != nil {
		return err
	}
	if o.source, err = b.sub("source"); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(o.source, "train.py"), []byte("print(1)\n"), 0o600); err != nil {
		return err
	}
	for _, measure := range measures {
		if err := measure(o, ctx, b); err != nil {
			return fmt.Errorf("target %s: %w", p.name, err)
		}
	}
	return nil
}

// config is for a run of a command on the target.
func (o *onTarget) runConfig(command ...string) experiment.ScriptRunConfig {
	c := experiment.ScriptRunConfig{Source: o.source, Command: command}
	if o.place.config != nil {
		c.Compute = "target"
	}
	return c
}

// clock is a command that tells the time of its first instruction.
func (o *onTarget) clock(file string) []string {
	return []string{"/bin/sh", "-c", `date +%s%N > "$0"`, file}
}

// readClock reads what clock has told, and takes it away: another user may be next.
func readClock(file string) (time.Time, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return time.Time{}, err
	}
	nanos, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	return time.Unix(0, nanos), errors.Join(err, os.Remove(file))
}

// goal is what a run may cost beside its floor, in milliseconds.
func (o *onTarget) goal(floor float64) named {
	slack := cmp.Or(o.slack, 100)
	return named{fmt.Sprintf("the goal: 1.3 of the floor and %.0f ms", slack), 1.3*floor + slack}
}

// measureOverhead measures from Submit to the command's first instruction, and from
// its end to Completed.
func (o *onTarget) measureOverhead(ctx context.Context, b *bench) error {
	file := filepath.Join(o.shared, "clock")
	var ended, waited, bareEnded []float64
	ours := func(ctx context.Context) (sample, error) {
		begun := time.Now()
		r, err := o.exp.Submit(ctx, o.runConfig(o.clock(file)...), nil)
		if err != nil {
			return sample{}, err
		}
		if err := r.Wait(ctx, nil); err != nil {
			return sample{}, err
		}
		returned := time.Now()
		first, err := readClock(file)
		ended, waited = append(ended, r.Details().Ended.Sub(first).Seconds()), append(waited, returned.Sub(first).Seconds())
		return sample{value: first.Sub(begun).Seconds()}, err
	}
	bare := func(ctx context.Context) (sample, error) {
		begun := time.Now()
		if err := o.bare(ctx, io.Discard, o.clock(file)...); err != nil {
			return sample{}, err
		}
		returned := time.Now()
		first, err := readClock(file)
		bareEnded = append(bareEnded, returned.Sub(first).Seconds())
		return sample{value: first.Sub(begun).Seconds()}, err
	}
	got, err := b.rounds(ctx, ours, bare)
	if err != nil {
		return err
	}
	f := figureOf("target-"+o.name+"-submit-to-first-instruction", "ms", 1e3, got[0], o.floorName, got[1])
	f.Beside = []named{o.goal(f.Floor.Value)}
	b.report(f)
	// The first round, which warms up, does not count.
	f = figureOf("target-"+o.name+"-exit-to-Completed", "ms", 1e3, series{value: ended[1:]}, o.floorName, series{value: bareEnded[1:]})
	f.Beside = []named{o.goal(f.Floor.Value), {"until Wait returns", 1e3 * median(waited[1:])}}
	b.report(f)
	return nil
}
