package gitinfo

import (
	"context"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// repository is the work tree that dir lies in.
type repository struct {
	dir            string
	branch, commit string
	remotes        []string // all addresses of remotes
	filters        []string // arguments that switch the repository's filters off
}

// open finds out branch and commit. It returns false when dir is not in a work
// tree, or git can't tell.
func (r *repository) open(ctx context.Context) bool {
	// Before the first commit this fails, but has answered the first question.
	text, _ := r.run(ctx, "rev-parse", "--is-inside-work-tree", "HEAD", "--symbolic-full-name", "HEAD")
	out := lines(text)
	if len(out) == 0 || out[0] != "true" {
		return false
	}
	if len(out) == 3 {
		r.commit = out[1]
		r.branch, _ = strings.CutPrefix(out[2], "refs/heads/")
		if r.branch == "HEAD" && out[2] == "HEAD" {
			r.branch = ""
		}
		return true
	}
	if head, err := r.run(ctx, "symbolic-ref", "--short", "--quiet", "HEAD"); err == nil {
		r.branch = strings.TrimSpace(head)
	}
	return true
}

// fill adds what props does not have yet.
func (r *repository) fill(ctx context.Context, props map[string]string) {
	add := func(name string, value func() string) {
		if _, ok := props[name]; ok {
			return
		}
		if v := value(); v != "" {
			props[name] = v
		}
	}
	r.readConfig(ctx)
	add(Branch, func() string { return r.branch })
	add(Commit, func() string { return r.commit })
	add(RepositoryURI, func() string { return cleanRemote(r.remote(ctx)) })
	add(Dirty, func() string { return r.dirty(ctx) })
}

// readConfig reads the addresses of the remotes, and the filters that the
// repository itself defines: programs that git would run to compare files.
// Those of the user's own configuration, such as git-lfs, stay on.
func (r *repository) readConfig(ctx context.Context) {
	out, _ := r.run(ctx, "config", "--null", "--show-scope", "--get-regexp", `^(remote\..*\.url|filter\..*\.(clean|process))$`)
	fields := strings.Split(out, "\x00")
	for ; len(fields) >= 2; fields = fields[2:] {
		key, value, _ := strings.Cut(fields[1], "\n")
		switch {
		case strings.HasPrefix(key, "remote."):
			r.remotes = append(r.remotes, value)
		case fields[0] == "local" || fields[0] == "worktree":
			driver := key[:strings.LastIndexByte(key, '.')]
			r.filters = append(r.filters, "-c", key+"=", "-c", driver+".required=false")
		}
	}
}

// remote is the address of the branch's remote, after the user's own
// rewriting; "" when there is none.
func (r *repository) remote(ctx context.Context) string {
	if len(r.remotes) == 0 {
		return ""
	}
	out, err := r.run(ctx, "ls-remote", "--get-url")
	address := strings.TrimSpace(out)
	// With no such remote git answers with its name.
	if err != nil || !strings.ContainsAny(address, `/:\`) && !slices.Contains(r.remotes, address) {
		return ""
	}
	return address
}

// dirty is "True", "False", or "" when git can't tell.
func (r *repository) dirty(ctx context.Context) string {
	args := append(slices.Clone(r.filters), "status", "--porcelain", "--untracked-files=normal", "--", ".")
	switch out, err := r.run(ctx, args...); {
	case err != nil:
		return ""
	case out == "":
		return "False"
	}
	return "True"
}

func lines(text string) []string {
	return strings.FieldsFunc(text, func(c rune) bool { return c == '\n' || c == '\r' })
}

// run gives what git printed, also when it failed.
func (r *repository) run(ctx context.Context, args ...string) (string, error) {
	safe := []string{
		"--no-pager", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=" + os.DevNull,
		"-c", "core.sshCommand=false", "-c", "credential.helper=",
	}
	cmd := exec.CommandContext(ctx, "git", append(safe, args...)...)
	cmd.Dir = r.dir
	cmd.Env = environment(os.Environ())
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	return string(out), err
}

// environment leaves out the variables that name a repository, which are set
// while git runs a hook, and keeps git from writing and asking.
func environment(env []string) []string {
	kept := []string{"GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM", "GIT_EXEC_PATH", "GIT_CEILING_DIRECTORIES", "GIT_DISCOVERY_ACROSS_FILESYSTEM"}
	env = slices.DeleteFunc(slices.Clone(env), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		return strings.HasPrefix(name, "GIT_") && !slices.Contains(kept, name)
	})
	return append(env, "GIT_OPTIONAL_LOCKS=0", "GIT_TERMINAL_PROMPT=0", "LC_ALL=C")
}
