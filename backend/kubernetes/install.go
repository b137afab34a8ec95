package kubernetes

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/ssh/jobs"
)

// programName is what programs may be called.
var programName = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9_.-]*$`)

// Install implements backend.Remote: programs are kept on this machine, and brought
// into the pods of jobs whose commands name their paths. Errors: ErrInvalid for a
// name that is none of a file, ErrDenied, ErrUnavailable.
func (d *Driver) Install(ctx context.Context, name string, program backend.Content) (string, error) {
	if !programName.MatchString(name) {
		return "", fmt.Errorf("%w: %q is no name of a program: letters, digits, \"-\", \"_\" and \".\", not first, are", azml.ErrInvalid, name)
	}
	if err := ctx.Err(); err != nil {
		return "", err
	}
	installed, file := path.Join(binFolder, name), filepath.Join(d.programsDir(), name)
	_, err := os.Stat(file)
	if errors.Is(err, fs.ErrNotExist) {
		err = write(file, func(w io.Writer) error {
			_, err := io.Copy(w, io.NewSectionReader(program, 0, program.Size()))
			return err
		})
	}
	if err != nil {
		return "", noFile(err)
	}
	return installed, nil
}

// programsDir has what was installed.
func (d *Driver) programsDir() string { return filepath.Join(d.opts.CacheDir, "programs") }

// write writes a file whole or not at all.
func write(file string, content func(io.Writer) error) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(file), ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	err = errors.Join(content(f), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), file)
	}
	return err
}

// noFile gives an error of this machine's files its class, unless it has one.
func noFile(err error) error {
	switch {
	case azml.ClassOf(err) != nil:
		return err
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: %w", azml.ErrDenied, err)
	}
	return fmt.Errorf("%w: %w", azml.ErrUnavailable, err)
}

// program is a file of this machine that a pod gets.
type program struct {
	name, file, digest string
	on                 backend.Platform
	// also are other names of it there.
	also []string
}

// mentioned finds the paths of programs in a command.
var mentioned = regexp.MustCompile(regexp.QuoteMeta(binFolder+"/") + `[A-Za-z0-9_-][A-Za-z0-9_.-]*`)

// programs gives what the pod of a job gets: the programs that its command names,
// and last the one that starts it, which may be among them.
func (d *Driver) programs(ctx context.Context, job backend.Job, on backend.Platform) ([]program, error) {
	if d.opts.Program == nil {
		return nil, fmt.Errorf("%w: the driver was given no program for pods", azml.ErrInvalid)
	}
	file, err := d.opts.Program(ctx, on)
	if err != nil {
		return nil, err
	}
	runner := program{file: file, on: on}
	if runner.digest, err = d.digestOf(file); err != nil {
		return nil, noFile(err)
	}
	runner.name = jobs.ProgramPrefix + runner.digest
	var all []program
	seen := map[string]bool{runner.name: true}
	for _, arg := range job.Command {
		for _, at := range mentioned.FindAllString(arg, -1) {
			p := program{name: path.Base(at), file: filepath.Join(d.programsDir(), path.Base(at)), on: on}
			if _, err := os.Stat(p.file); err != nil || seen[p.name] { // what isn't there, Start finds missing
				continue
			}
			seen[p.name] = true
			if p.digest, err = d.digestOf(p.file); err != nil {
				return nil, noFile(err)
			}
			if p.digest == runner.digest {
				runner.also = append(runner.also, p.name)
				continue
			}
			all = append(all, p)
		}
	}
	return append(all, runner), nil
}

// digestOf gives the SHA-256 of a file, which is read once for as long as it looks the
// same, by whichever process.
func (d *Driver) digestOf(file string) (string, error) {
	info, err := os.Stat(file)
	if err != nil {
		return "", err
	}
	const hashed = 12
	sum := sha256.Sum256([]byte(file))
	note := filepath.Join(d.opts.CacheDir, "digests", hex.EncodeToString(sum[:hashed]))
	looks := fmt.Sprintf("%d %d ", info.Size(), info.ModTime().UnixNano())
	if known, err := os.ReadFile(note); err == nil && len(known) == len(looks)+2*sha256.Size && strings.HasPrefix(string(known), looks) {
		return string(known[len(looks):]), nil
	}
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	content := sha256.New()
	if _, err := io.Copy(content, f); err != nil {
		return "", err
	}
	digest := hex.EncodeToString(content.Sum(nil))
	return digest, write(note, func(w io.Writer) error {
		_, err := io.WriteString(w, looks+digest)
		return err
	})
}
