package main

import (
	"context"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/azml-go/azml/backend/docker"
	"github.com/azml-go/azml/backend/process"
	"github.com/azml-go/azml/compute"
	"github.com/azml-go/azml/workspace"
)

func (a *app) computeAttach() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "attach",
		Short:   "Make a compute target known, for azml run submit --compute",
		Example: "  azml compute attach ssh box --address box.example.com --user me --key-file ~/.ssh/id_ed25519",
	}
	cmd.AddCommand(a.computeAttachProcess(), a.computeAttachDocker(), a.computeKubernetes("attach"), a.computeAttachSSH())
	return cmd
}

// attachFlags are those of all kinds of targets.
type attachFlags struct {
	opts compute.CreateOptions
	tags *pairs
}

func (f *attachFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.opts.Description, "description", "", "what it is for")
	cmd.Flags().BoolVar(&f.opts.SkipValidation, "skip-validation", false, "store it without connecting")
	f.tags = tagsFlag(cmd, "tag", "tag of the target")
}

// attach stores the target and shows it.
func (a *app) attach(ctx context.Context, name string, config compute.Config, f *attachFlags) error {
	f.opts.Tags = f.tags.values
	return a.with(ctx, func(ws *workspace.Workspace) error {
		target, err := ws.Compute().Create(ctx, name, config, &f.opts)
		if err != nil {
			return err
		}
		a.say("Attached %s", target.Name())
		return a.show(target.Details(), func(t *table) { t.line(target.Name()) })
	})
}

func (a *app) computeAttachProcess() *cobra.Command {
	var common attachFlags
	var where process.Target
	cmd := &cobra.Command{
		Use:   "process NAME",
		Short: "Make a compute target of this machine, with jobs in a folder of its own",
		Long: `Make a compute target of this machine, with jobs in a folder of its own: a run there
has the workspace through a gateway alone, as on another machine.`,
		Example: "  azml compute attach process apart --dir /scratch/jobs --cache-dir /scratch/cache",
		Args:    exactly(1, "the name of a compute target"),
		RunE:    func(cmd *cobra.Command, args []string) error { return a.attach(cmd.Context(), args[0], where, &common) },
	}
	common.add(cmd)
	f := cmd.Flags()
	f.StringVar(&where.Dir, "dir", "", "folder for jobs and programs")
	f.StringVar(&where.CacheDir, "cache-dir", "", "folder for environments and working folders (default: the user's cache folder)")
	must(cmd.MarkFlagRequired("dir"))
	return cmd
}

func (a *app) computeAttachDocker() *cobra.Command {
	var common attachFlags
	var f dockerFlags
	cmd := &cobra.Command{
		Use:   "docker NAME",
		Short: "Attach a Docker engine of this machine",
		Example: `  azml compute attach docker box --image python:3.12-slim
  azml compute attach docker box --image python:3.12-slim --memory 8g --shm-size 2g --gpus all --mount /data:/data:ro`,
		Args: exactly(1, "a name for the target"),
	}
	common.add(cmd)
	f.add(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		config, err := f.complete(cmd.Context(), a)
		if err != nil {
			return err
		}
		return a.attach(cmd.Context(), args[0], config, &common)
	}
	return cmd
}

// dockerFlags say by which engine containers are run, and how.
type dockerFlags struct {
	config docker.Config
	limits limitFlags
	mounts []string
	login  docker.Registry
	asked  bool
	// far says that the engine is on another machine, where folders are.
	far bool
}

func (f *dockerFlags) add(cmd *cobra.Command) {
	host, user := "host", "user"
	if f.far { // which are those of the machine
		host, user = "docker-host", "docker-user"
	}
	flags := cmd.Flags()
	flags.StringVar(&f.config.Host, host, "", "socket of the engine, such as unix:///var/run/docker.sock (default: what DOCKER_HOST says)")
	flags.StringVar(&f.config.Image, "image", "", "image of environments that name none, and of a compute instance")
	flags.StringVar(&f.config.User, user, "", "whom runs have as user (default: the image's, and nobody instead of root; of a compute instance whoever makes it)")
	flags.StringVar(&f.config.Network, "network", "", "network of containers, such as host, or for runs none")
	flags.StringVar(&f.config.BuildNetwork, "build-network", "", "network in which images are made")
	f.limits.add(cmd)
	flags.StringVar(&f.login.Address, "registry", "", "registry of images that wants a login, such as registry.example.com:5000")
	flags.StringVar(&f.login.Username, "registry-user", "", "who logs in to the registry")
	flags.BoolVar(&f.asked, "registry-password-stdin", false, "ask for the password of the registry, or read it from the standard input")
	flags.StringArrayVar(&f.mounts, "mount", nil, "folder of the engine's machine that containers see, SOURCE:TARGET or SOURCE:TARGET:ro (repeatable)")
}

// complete gives the configuration that the flags make.
func (f *dockerFlags) complete(ctx context.Context, a *app) (_ docker.Config, err error) {
	if given := f.login.Address != ""; given != f.asked || given != (f.login.Username != "") {
		return f.config, usage("--registry, --registry-user and --registry-password-stdin go together")
	}
	if f.asked {
		if f.login.Password, err = a.readSecret(ctx, "the password of the registry"); err != nil {
			return f.config, err
		}
		f.config.Registries = []docker.Registry{f.login}
	}
	if f.config.Limits, err = f.limits.limits(); err != nil {
		return f.config, err
	}
	f.config.Mounts, err = f.parseMounts()
	return f.config, err
}

func (f *dockerFlags) parseMounts() ([]docker.Mount, error) {
	var mounts []docker.Mount
	for _, text := range f.mounts {
		parts := strings.Split(text, ":")
		readOnly := len(parts) == 3 && parts[2] == "ro"
		if len(parts) != 2 && !readOnly {
			return nil, usage("--mount %q: use SOURCE:TARGET or SOURCE:TARGET:ro", text)
		}
		source := parts[0]
		if !f.far {
			var err error
			if source, err = filepath.Abs(source); err != nil {
				return nil, err
			}
		}
		mounts = append(mounts, docker.Mount{Source: source, Target: parts[1], ReadOnly: readOnly})
	}
	return mounts, nil
}
