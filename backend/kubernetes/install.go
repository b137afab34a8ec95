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
		err = install(file, program)
	}
	if err != nil {
		return "", noFile(err)
	}
	return installed, nil
}

// programsDir has what was installed.
func (d *Driver) programsDir() string { return filepath.Join(d.opts.CacheDir, "programs") }

// install writes a program whole or not at all.
func install(file string, program backend.Content) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(file), ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = io.Copy(f, io.NewSectionReader(program, 0, program.Size()))
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), file)
	}
	return err
}

// noFile gives an error of this machine's files its class.
func noFile(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w: %w", azml.ErrDenied, err)
	}
	return fmt.Errorf("%w: %w", azml.ErrUnavailable, err)
}

// program is a file of this machine that a pod gets.
type program struct {
	name, file, digest string
}

// mentioned finds the paths of programs in a command.
var mentioned = regexp.MustCompile(regexp.QuoteMeta(binFolder+"/") + `[A-Za-z0-9_-][A-Za-z0-9_.-]*`)

// programs gives what the pod of a job gets: the programs that its command names,
// and last the one that starts it.
func (d *Driver) programs(ctx context.Context, job backend.Job, on backend.Platform) ([]program, error) {
	var all []program
	seen := map[string]bool{}
	for _, arg := range job.Command {
		for _, at := range mentioned.FindAllString(arg, -1) {
			name := path.Base(at)
			file := filepath.Join(d.programsDir(), name)
			if _, err := os.Stat(file); err != nil || seen[name] { // what isn't there, Start finds missing
				continue
			}
			seen[name] = true
			all = append(all, program{name: name, file: file})
		}
	}
	if d.opts.Program == nil {
		return nil, fmt.Errorf("%w: the driver was given no program for pods", azml.ErrInvalid)
	}
	runner, err := d.opts.Program(ctx, on)
	if err != nil {
		return nil, err
	}
	all = append(all, program{file: runner})
	for i := range all {
		if all[i].digest, err = digestOf(all[i].file); err != nil {
			return nil, noFile(err)
		}
	}
	all[len(all)-1].name = jobs.ProgramPrefix + all[len(all)-1].digest
	return all, nil
}

func digestOf(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	sum := sha256.New()
	_, err = io.Copy(sum, f)
	return hex.EncodeToString(sum.Sum(nil)), err
}

// bring brings a program into a pod, whole or not at all. What is there is left as
// it is.
func (d *Driver) bring(ctx context.Context, pod string, p program) error {
	f, err := os.Open(p.file)
	if err != nil {
		return noFile(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return noFile(err)
	}
	const script = `cd "$1" 2>/dev/null || { mkdir -p "$1" && cd "$1"; } || exit 1
[ -e "$2" ] && exit
cat > ".new-$$" && [ "$(wc -c < ".new-$$")" -eq "$3" ] && chmod 755 ".new-$$" && mv ".new-$$" "$2"`
	return d.exec(ctx, pod, f, io.Discard, shell, "-c", script, "sh", binFolder, p.name, fmt.Sprint(info.Size()))
}
