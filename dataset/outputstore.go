package dataset

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/datastore"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/inorder"
	"github.com/azml-go/azml/internal/record"
)

// OutputStore stores the files of one output of a run. It is made for runs, by
// StoreOutput. It is safe for concurrent use.
type OutputStore struct {
	h     core.Handle
	out   record.DataOutput
	run   string
	dir   string
	store *datastore.Datastore
	at    string // the folder in it, without "/" at its end

	mu      sync.Mutex
	stored  map[string]fileMark // what of this run is there, by path below the folder
	checked bool                // that nothing else was there
}

// fileMark tells one state of a file from another.
type fileMark struct {
	size     int64
	modified time.Time
}

func newOutputStore(ctx context.Context, h core.Handle, run string, out record.DataOutput, dir string) (*OutputStore, error) {
	store, err := datastore.Lookup(ctx, h, out.Datastore)
	if err != nil {
		return nil, err
	}
	return &OutputStore{h: h, out: out, run: run, dir: dir, store: store, at: filled(out.Path, run, out.Name), stored: map[string]fileMark{}}, nil
}

// Target gives where the files go.
func (s *OutputStore) Target() Path { return Path{Datastore: s.store.Name(), Path: s.at + "/"} }

// Store stores what is in the folder and was not stored yet, several files at once,
// and removes of what it has stored what is not there any more; it can be called
// again after an error. Odd tells of what is neither a file nor a
// folder, and is left out. Errors: ErrExists naming a file that is there already,
// then nothing is stored; ErrConflict for a file that changes meanwhile.
func (s *OutputStore) Store(ctx context.Context, odd func(path string)) error {
	paths, err := s.list(odd)
	if err != nil {
		return err
	}
	if err := s.check(ctx, paths); err != nil {
		return err
	}
	for _, err := range inorder.Map(ctx, parallel, each(paths), func(p string) (struct{}, error) { return struct{}{}, s.StoreFile(ctx, p) }) {
		if err != nil {
			return err
		}
	}
	return s.forget(ctx, paths)
}

// forget removes what was stored while the script ran and is not there any more, such
// as files that have got another name.
func (s *OutputStore) forget(ctx context.Context, paths []string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	there := make(map[string]bool, len(paths))
	for _, p := range paths {
		there[p] = true
	}
	for p := range s.stored {
		if there[p] {
			continue
		}
		if err := unlessMissing(s.store.Delete(ctx, path.Join(s.at, p), nil)); err != nil {
			return err
		}
		delete(s.stored, p)
	}
	return nil
}

// list gives the plain files of the folder that are taken, by their slash paths
// below it.
func (s *OutputStore) list(odd func(path string)) (paths []string, err error) {
	err = filepath.WalkDir(s.dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		rel, err := filepath.Rel(s.dir, name)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		switch {
		case !s.Takes(rel):
		case !e.Type().IsRegular():
			odd(rel)
		default:
			paths = append(paths, rel)
		}
		return nil
	})
	return paths, err
}

// Takes tells whether a file with the path below the folder is taken.
func (s *OutputStore) Takes(rel string) bool {
	if len(s.out.Globs) == 0 {
		return true
	}
	for _, glob := range s.out.Globs {
		if matches(strings.Split(glob, "/"), strings.Split(rel, "/")) {
			return true
		}
	}
	return false
}

// check looks, once, whether a file is there that is not to be replaced.
func (s *OutputStore) check(ctx context.Context, paths []string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.checked || s.out.Overwrite {
		return nil
	}
	mine := make(map[string]bool, len(paths))
	for _, p := range paths {
		_, was := s.stored[p]
		mine[s.at+"/"+p] = !was
	}
	for file, err := range s.store.Files(ctx, s.at+"/", nil) {
		if err != nil {
			return err
		}
		if mine[file.Path] {
			return fmt.Errorf("%w: %s is there: choose another target, such as one with {run-id}, or set Overwrite", azml.ErrExists, Path{s.store.Name(), file.Path})
		}
	}
	s.checked = true
	return nil
}

// StoreFile stores the file with the path below the folder, unless it was stored as
// it is.
func (s *OutputStore) StoreFile(ctx context.Context, rel string) error {
	file, err := os.Open(filepath.Join(s.dir, filepath.FromSlash(rel)))
	if err != nil {
		return err
	}
	defer file.Close()
	before, err := markOf(file)
	if err != nil {
		return err
	}
	had, mine := s.was(rel)
	if mine && had == before {
		return nil
	}
	_, err = s.store.Write(ctx, path.Join(s.at, rel), io.NewSectionReader(file, 0, before.size), &datastore.WriteOptions{Overwrite: s.out.Overwrite || mine})
	if errors.Is(err, azml.ErrUnavailable) {
		s.note(rel, fileMark{size: -1}) // the answer may be what was lost
	}
	if err != nil {
		return err
	}
	after, err := markOf(file)
	if err != nil {
		return err
	}
	s.note(rel, before)
	if after != before {
		return fmt.Errorf("%w: %s changed while it was stored", azml.ErrConflict, rel)
	}
	return nil
}

func markOf(file *os.File) (fileMark, error) {
	info, err := file.Stat()
	if err != nil {
		return fileMark{}, err
	}
	return fileMark{info.Size(), info.ModTime()}, nil
}

func (s *OutputStore) was(rel string) (fileMark, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	mark, ok := s.stored[rel]
	return mark, ok
}

func (s *OutputStore) note(rel string, mark fileMark) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stored[rel] = mark
}

// Register registers the folder as a version of the dataset that the output names,
// or saves it without a name, and gives it with what a run's record says of it. It
// can be called again: the same files are the same version. It gives no dataset when no file was stored.
// Errors: ErrInvalid when there is nothing to register.
func (s *OutputStore) Register(ctx context.Context) (*Dataset, record.DatasetOutput, error) {
	fact := record.DatasetOutput{Output: s.out.Name, Mode: s.out.Mode, Datastore: s.store.Name(), Path: s.at + "/"}
	if len(s.stored) == 0 {
		if s.out.Register != nil {
			return nil, fact, fmt.Errorf("%w: nothing is registered as %s, for the script has written no file that is taken into the folder of the output", azml.ErrInvalid, s.out.Register.Name)
		}
		return nil, fact, nil
	}
	d, err := outputDataset(ctx, s.h, s.out, s.Target())
	if err != nil {
		return nil, fact, err
	}
	if r := s.out.Register; r != nil {
		d, err = d.registered(ctx, r, origin{s.run, s.out.Name})
	} else {
		err = save(ctx, d.h, d.ID(), d.def)
	}
	if err != nil {
		return nil, fact, err
	}
	f := record.Fingerprint{}
	if d.stored != nil {
		f = d.stored.Value.Fingerprint
	} else if f, _, err = d.observe(ctx, false); err != nil {
		return nil, fact, err
	}
	fact.Dataset, fact.Digest, fact.Files, fact.Bytes = d.Ref(), f.Digest, f.Files, f.Bytes
	return d, fact, nil
}

// registered registers the output's files as the next version, or gives the version
// that has them already.
func (d *Dataset) registered(ctx context.Context, r *record.OutputRegistration, from origin) (*Dataset, error) {
	made, err := d.register(ctx, r.Name, &RegisterOptions{Description: r.Description, Tags: r.Tags, CreateNewVersion: true}, from)
	if !errors.Is(err, azml.ErrExists) {
		return made, err
	}
	now, _, lookErr := d.observe(ctx, false)
	if lookErr != nil {
		return nil, lookErr
	}
	same, lookErr := d.versionWith(ctx, now.Digest)
	if lookErr != nil || same == nil || same.Name() != r.Name {
		return nil, errors.Join(err, lookErr)
	}
	return same, nil
}
