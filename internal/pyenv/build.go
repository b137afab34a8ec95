package pyenv

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/azml-go/azml"
)

// BuildOptions are the options of Build.
type BuildOptions struct {
	// CacheDir is the folder of cached environments, shared by any number of
	// processes; "azml" in the user's cache folder when empty.
	CacheDir string
	// Log gets what is done and the tools' output, line by line, without
	// secrets; nil discards it. Build writes from one goroutine at a time and
	// never after it has returned.
	Log io.Writer
	// Python is the interpreter to build with, a path or a name on the PATH;
	// when empty, the first that fits of python3, python and pythonX.Y.
	Python string
	// Env is the whole environment of the tools; nil is the part of the
	// process's own that they need (PATH, HOME, proxies, PIP_*, …), with the
	// variables that the spec names as "${NAME}".
	Env map[string]string
}

// Build gives an environment as the spec asks for. An environment with
// packages is made once for each spec and kept in the cache; of builders at
// the same time, in any process, one builds and the others wait. A spec
// without packages costs nothing: it is the base interpreter itself. A user
// managed one is only looked up. What installs conda packages is an environment
// of its own in the cache, made by the first spec that has some.
//
// A build that fails or whose ctx ends leaves nothing behind. Errors:
// ErrInvalid for an unsound spec, ErrNotFound when no interpreter fits,
// *BuildError when a tool failed, and the error of ctx.
func Build(ctx context.Context, spec Spec, opts *BuildOptions) (*Env, error) {
	if opts == nil {
		opts = &BuildOptions{}
	}
	if err := spec.Validate(); err != nil {
		return nil, err
	}
	b, err := newBuilder(spec, *opts)
	if err != nil {
		return nil, err
	}
	switch {
	case spec.UserManaged:
		return b.userManaged()
	case spec.Empty():
		return b.base(ctx)
	default:
		return b.cached(ctx)
	}
}

// builder builds one spec.
type builder struct {
	spec Spec
	opts BuildOptions
	env  map[string]string // of the tools
	urls map[string]string // what URLs of the spec may name
	mask *masker
	hash string
}

func newBuilder(spec Spec, opts BuildOptions) (*builder, error) {
	if opts.Log == nil {
		opts.Log = io.Discard
	}
	dir, err := cacheDir(opts.CacheDir)
	if err != nil {
		return nil, err
	}
	opts.CacheDir = dir
	urls := toolEnviron(opts.Env, spec)
	return &builder{spec: spec, opts: opts, env: withoutChannels(urls, spec), urls: urls, mask: newMasker(spec, urls), hash: spec.Hash()}, nil
}

// cacheDir makes the folder absolute, because environments hold their path.
func cacheDir(dir string) (string, error) {
	if dir == "" {
		base, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("%w: name a cache folder for Python environments: %w", azml.ErrInvalid, err)
		}
		dir = filepath.Join(base, "azml")
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("%w: cache folder %s: %w", azml.ErrInvalid, dir, err)
	}
	return abs, nil
}

func (b *builder) logf(format string, args ...any) {
	fmt.Fprintln(b.opts.Log, b.mask.mask(fmt.Sprintf(format, args...)))
}

func (b *builder) userManaged() (*Env, error) {
	path, err := lookPath(b.spec.interpreter(), b.env)
	if err != nil {
		return nil, fmt.Errorf("%w: the interpreter of the user managed environment: %w", azml.ErrNotFound, err)
	}
	return &Env{Python: path, Hash: b.hash, Reused: true, tools: b.env}, nil
}

// base takes the interpreter as it is, without even starting it when any
// version will do.
func (b *builder) base(ctx context.Context) (*Env, error) {
	if b.spec.PythonVersion == "" {
		for _, name := range candidates(b.opts.Python, nil) {
			if path, err := lookPath(name, b.env); err == nil {
				return &Env{Python: path, Hash: b.hash, Reused: true, tools: b.env}, nil
			}
		}
		return nil, notFound(b.opts.Python, "", nil)
	}
	python, err := findPython(ctx, b.opts.Python, b.spec.PythonVersion, b.env)
	if err != nil {
		return nil, err
	}
	return &Env{Python: python.Path, Version: python.Version, Hash: b.hash, Reused: true, tools: b.env}, nil
}

// cached gives the environment of the cache, making it when it isn't there.
func (b *builder) cached(ctx context.Context) (*Env, error) {
	slot, err := b.slot()
	if err != nil {
		return nil, err
	}
	if env := slot.env(b.env); env != nil {
		b.logf("Python environment %s is there already", slot.key)
		return env, nil
	}
	unlock, err := slot.lock(ctx, func() {
		b.logf("waiting for another build of the Python environment %s", slot.key)
	})
	if err != nil {
		return nil, err
	}
	defer unlock()
	if env := slot.env(b.env); env != nil {
		b.logf("Python environment %s was built meanwhile", slot.key)
		return env, nil
	}
	return b.build(ctx, slot)
}

// slot names the environment's place. An interpreter that was asked for by
// name gets a place of its own, so that two programs with different ones don't
// take each other's environment away.
func (b *builder) slot() (slot, error) {
	key := b.hash
	if b.opts.Python != "" {
		path, err := lookPath(b.opts.Python, b.env)
		if err != nil {
			return slot{}, notFound(b.opts.Python, b.spec.PythonVersion, nil)
		}
		if path, err = filepath.Abs(path); err != nil {
			return slot{}, fmt.Errorf("%w: interpreter %s: %w", azml.ErrInvalid, b.opts.Python, err)
		}
		sum := sha256.Sum256([]byte(path))
		key += "-" + hex.EncodeToString(sum[:4])
	}
	return slot{cache: b.opts.CacheDir, key: key}, nil
}

// build makes the environment in a new folder and then makes it visible. The
// folder is its final one, because environments can't be moved, and new for
// every attempt, because tools of a killed process may still write into an
// earlier one.
func (b *builder) build(ctx context.Context, s slot) (env *Env, err error) {
	start := time.Now()
	if err := s.clear(); err != nil {
		return nil, err
	}
	dir, err := s.attempt()
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			s.discard()
		}
	}()
	m, err := b.install(ctx, dir)
	if err != nil {
		return nil, err
	}
	m.Hash, m.Dir, m.Created, m.Seconds = b.hash, filepath.Base(dir), start.UTC(), time.Since(start).Seconds()
	if err := s.publish(m); err != nil {
		return nil, err
	}
	b.logf("Python environment %s is ready after %.1f s", s.key, m.Seconds)
	made := m.env(s, b.env)
	made.Reused = false
	return made, nil
}
