package main

import (
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/azml-go/azml/environment"
	"github.com/azml-go/azml/workspace"
)

func (a *app) environmentCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "environment",
		Short:   "Register, list, show, build and explain Python environments",
		Example: "  azml environment register --name sklearn -r requirements.txt",
	}
	cmd.AddCommand(a.environmentRegister(), a.environmentList(), a.environmentShow(), a.environmentBuild(), a.environmentExplain(), a.environmentPrune())
	return cmd
}

func (a *app) environmentRegister() *cobra.Command {
	var name, description, requirements, conda, python, image, dockerfile, buildContext string
	cmd := &cobra.Command{
		Use:   "register --name NAME (--requirements FILE | --conda FILE | --image IMAGE | --dockerfile FILE | --build-context DIR)",
		Short: "Register an environment; the same content again makes no new version",
		Example: `  azml environment register --name sklearn -r requirements.txt --python ">=3.10"
  azml environment register --name torch --conda environment.yml
  azml environment register --name slim --image python:3.12-slim -r requirements.txt
  azml environment register --name own --build-context docker/   # a folder with a Dockerfile, which may copy its files`,
		Args: noArgs,
	}
	f := cmd.Flags()
	f.StringVar(&name, "name", "", "name of the environment (required)")
	f.StringVarP(&requirements, "requirements", "r", "", "requirements file of pip")
	f.StringVar(&conda, "conda", "", "conda environment file")
	f.StringVar(&python, "python", "", `Python wanted, such as "3.11" or ">=3.9,<3.13"`)
	f.StringVar(&image, "image", "", "image that it begins with, on targets that run containers")
	f.StringVar(&dockerfile, "dockerfile", "", "Dockerfile that makes the image that it begins with; with --build-context, its path there (Dockerfile)")
	f.StringVar(&buildContext, "build-context", "", "folder with a Dockerfile that makes the image that it begins with; what its .dockerignore names stays out")
	f.StringVar(&description, "description", "", "description of the environment")
	cmd.MarkFlagsMutuallyExclusive("requirements", "conda")
	cmd.MarkFlagsMutuallyExclusive("image", "dockerfile")
	cmd.MarkFlagsMutuallyExclusive("image", "build-context")
	tags := tagsFlag(cmd, "tag", "tag of the environment")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if name == "" {
			return usage("name the environment: --name NAME")
		}
		files := environmentFlags{requirements: requirements, conda: conda}
		if !files.given() && image+dockerfile+buildContext == "" {
			return usage("say what is in the environment: --requirements FILE, --conda FILE, --image IMAGE, --dockerfile FILE or --build-context DIR")
		}
		spec, err := files.spec()
		if err != nil {
			return err
		}
		spec.Name, spec.Description, spec.Tags = name, description, tags.values
		if spec.Docker, err = dockerPart(image, dockerfile, buildContext); err != nil {
			return err
		}
		if python != "" {
			spec.Python.PythonVersion = python
		}
		return a.with(cmd.Context(), func(ws *workspace.Workspace) error {
			e, err := ws.Environments().Register(cmd.Context(), spec, nil)
			if err != nil {
				return err
			}
			return a.show(e.Details(), func(t *table) { t.line(e.ID()) })
		})
	}
	return cmd
}

func (a *app) environmentList() *cobra.Command {
	var opts environment.ListOptions
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List environments by name, the latest versions first",
		Example: "  azml environment list --latest",
		Args:    noArgs,
	}
	cmd.Flags().StringVar(&opts.Name, "name", "", "only versions of this environment")
	cmd.Flags().BoolVar(&opts.Latest, "latest", false, "only the latest version of each")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return a.with(cmd.Context(), func(ws *workspace.Workspace) error {
			found, err := collect(ws.Environments().List(cmd.Context(), &opts), 0, (*environment.Environment).Details)
			if err != nil {
				return err
			}
			return showList(a, found, "No environments.", func(t *table) {
				t.row("ENVIRONMENT", "CREATED", "PYTHON", "PACKAGES", "TAGS")
				for _, d := range found {
					t.row(d.Name+":"+d.Version, ago(d.Created), d.Python.PythonVersion, len(d.Python.Pip)+len(d.Python.Conda), tagCell(d.Tags))
				}
			})
		})
	}
	return cmd
}

// dockerPart gives what the flags say of the image.
func dockerPart(image, dockerfile, buildContext string) (environment.Docker, error) {
	if buildContext != "" {
		spec, err := environment.FromBuildContext("", buildContext, dockerfile)
		return spec.Docker, err
	}
	var text []byte
	if dockerfile != "" {
		var err error
		if text, err = os.ReadFile(dockerfile); err != nil {
			return environment.Docker{}, err
		}
	}
	return environment.Docker{BaseImage: image, BaseDockerfile: string(text)}, nil
}

func (a *app) environmentShow() *cobra.Command {
	return &cobra.Command{
		Use:     "show NAME[:VERSION]",
		Short:   "Show an environment",
		Example: "  azml environment show sklearn:2",
		Args:    exactly(1, "an environment as NAME or NAME:VERSION"),
		RunE: func(cmd *cobra.Command, args []string) error {
			name, version, _ := strings.Cut(args[0], ":")
			return a.with(cmd.Context(), func(ws *workspace.Workspace) error {
				e, err := ws.Environments().Get(cmd.Context(), name, version, nil)
				if err != nil {
					return err
				}
				return a.show(e.Details(), func(t *table) { drawEnvironment(t, e.Details()) })
			})
		},
	}
}

func drawEnvironment(t *table, d environment.Details) {
	t.field("Environment", d.Name+":"+d.Version)
	t.field("Description", d.Description)
	t.field("Hash", d.Hash)
	t.field("Created", when(d.Created)+" by "+d.CreatedBy)
	t.field("Python", d.Python.PythonVersion)
	t.field("Interpreter", d.Python.InterpreterPath)
	t.field("Base image", d.Docker.BaseImage)
	if c := d.Docker.BuildContext; c != nil {
		t.field("Build context", c.Hash)
		t.field("Dockerfile", c.Dockerfile)
	}
	t.field("Channels", strings.Join(d.Python.Channels, ", "))
	t.labels("Tags", d.Tags)
	t.labels("Variables", d.Variables)
	for _, part := range []struct {
		heading string
		lines   []string
	}{{"Packages of pip", d.Python.Pip}, {"Constraints", d.Python.Constraints}, {"Options of pip", d.Python.PipOptions}, {"Packages of conda", d.Python.Conda},
		{"Dockerfile", slices.Collect(strings.Lines(d.Docker.BaseDockerfile))}} {
		if len(part.lines) == 0 {
			continue
		}
		t.heading(part.heading)
		for _, line := range part.lines {
			t.row("  " + strings.TrimRight(line, "\r\n"))
		}
	}
}
