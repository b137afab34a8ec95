// Package gitinfo reads where a source folder stands in git: repository,
// branch, commit, and whether it has changes that are not committed.
//
// The facts come from the git command, so that worktrees, submodules and every
// object format are read as git itself does. It is run in the source folder,
// in a way that changes nothing in the repository and starts no program that
// the repository's own configuration names (fsmonitor, hooks, filters). When
// there is no git, no repository, or git fails, there simply are no facts.
package gitinfo
