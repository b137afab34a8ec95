package main

import (
	"context"
	"path/filepath"
	"strconv"
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
	cmd.AddCommand(a.computeAttachProcess(), a.computeAttachDocker(), a.computeAttachKubernetes(), a.computeAttachSSH())
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
	var config docker.Config
	var memory, shared, gpus string
	var mounts []string
	cmd := &cobra.Command{
		Use:   "docker NAME",
		Short: "Attach a Docker engine of this machine",
		Example: `  azml compute attach docker box --image python:3.12-slim
  azml compute attach docker box --image python:3.12-slim --memory 8g --shm-size 2g --gpus all --mount /data:/data:ro`,
		Args: exactly(1, "a name for the target"),
	}
	common.add(cmd)
	f := cmd.Flags()
	f.StringVar(&config.Host, "host", "", "socket of the engine, such as unix:///var/run/docker.sock (default: what DOCKER_HOST says)")
	f.StringVar(&config.Image, "image", "", "image of environments that name none")
	f.StringVar(&config.User, "user", "", "whom runs have as user (default: the image's, and nobody instead of root)")
	f.StringVar(&config.Network, "network", "", "network of runs, such as none or host")
	f.StringVar(&config.BuildNetwork, "build-network", "", "network in which images are made")
	f.Float64Var(&config.Limits.CPUs, "cpus", 0, "processors that a run may use")
	f.StringVar(&memory, "memory", "", "memory that a run may use, such as 8g")
	f.StringVar(&shared, "shm-size", "", "size of /dev/shm, such as 2g")
	f.StringVar(&gpus, "gpus", "", `number of GPUs, or "all"`)
	f.StringArrayVar(&mounts, "mount", nil, "folder of this machine that runs see, SOURCE:TARGET or SOURCE:TARGET:ro (repeatable)")
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		if config.Limits.Memory, err = parseBytes("--memory", memory); err != nil {
			return err
		}
		if config.Limits.SharedMemory, err = parseBytes("--shm-size", shared); err != nil {
			return err
		}
		if config.Limits.GPUs, err = parseGPUs(gpus); err != nil {
			return err
		}
		if config.Mounts, err = parseMounts(mounts); err != nil {
			return err
		}
		return a.attach(cmd.Context(), args[0], config, &common)
	}
	return cmd
}

// parseBytes reads a size as Docker takes it: a number, with b, k, m or g.
func parseBytes(flag, text string) (int64, error) {
	if text == "" {
		return 0, nil
	}
	digits, unit := strings.ToLower(text), int64(1)
	for suffix, size := range map[string]int64{"b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30} {
		if rest, ok := strings.CutSuffix(digits, suffix); ok {
			digits, unit = rest, size
			break
		}
	}
	n, err := strconv.ParseFloat(digits, 64)
	if err != nil || n <= 0 || n*float64(unit) > 1<<62 {
		return 0, usage("%s %q: use a size such as 512m or 8g", flag, text)
	}
	return int64(n * float64(unit)), nil
}

func parseGPUs(text string) (int, error) {
	switch text {
	case "":
		return 0, nil
	case "all":
		return -1, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return 0, usage(`--gpus %q: use a number, or "all"`, text)
	}
	return n, nil
}

func parseMounts(texts []string) ([]docker.Mount, error) {
	var mounts []docker.Mount
	for _, text := range texts {
		parts := strings.Split(text, ":")
		readOnly := len(parts) == 3 && parts[2] == "ro"
		if len(parts) != 2 && !readOnly {
			return nil, usage("--mount %q: use SOURCE:TARGET or SOURCE:TARGET:ro", text)
		}
		source, err := filepath.Abs(parts[0])
		if err != nil {
			return nil, err
		}
		mounts = append(mounts, docker.Mount{Source: source, Target: parts[1], ReadOnly: readOnly})
	}
	return mounts, nil
}
