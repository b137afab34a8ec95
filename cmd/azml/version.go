package main

import (
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version is what is known of this program.
type version struct {
	// Version is the module's version, "(devel)" for a build from a work tree.
	Version string `json:"version"`
	// Revision is the commit it was built from.
	Revision string `json:"revision,omitempty"`
	// Modified says that the work tree had changes.
	Modified bool `json:"modified,omitempty"`
	// Go is the Go version.
	Go string `json:"go"`
	// Platform is operating system and processor.
	Platform string `json:"platform"`
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Show the version of azml",
		Example: "  azml version -o json",
		Args:    noArgs,
		RunE: func(*cobra.Command, []string) error {
			v := readVersion()
			return a.show(v, func(t *table) {
				t.field("Version", v.Version)
				t.field("Revision", v.Revision)
				t.field("Go", v.Go)
				t.field("Platform", v.Platform)
			})
		},
	}
}

func readVersion() version {
	v := version{Version: "(unknown)", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	v.Version = info.Main.Version
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Revision = s.Value
		case "vcs.modified":
			v.Modified = s.Value == "true"
		}
	}
	return v
}
