package main

import (
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/azml-go/azml/model"
	"github.com/azml-go/azml/workspace"
)

func (a *app) modelAlias() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "alias",
		Short: "Names that point to a version of a model, and can be pointed to another",
		Example: `  azml model alias set churn:7 champion
  azml model show churn@champion`,
	}
	cmd.AddCommand(a.aliasSet(), a.aliasDelete(), a.aliasList())
	return cmd
}

func (a *app) aliasSet() *cobra.Command {
	return &cobra.Command{
		Use:               "set NAME:VERSION ALIAS",
		Short:             "Point an alias to a version, wherever it pointed before",
		Example:           "  azml model alias set churn:7 champion",
		Args:              exactly(2, "a model as NAME:VERSION, and an alias"),
		ValidArgsFunction: a.completeModels(),
		RunE: func(cmd *cobra.Command, args []string) error {
			name, version, err := model.ParseID(args[0])
			if err != nil {
				return err
			}
			if version == model.Latest {
				return usage("model %q: say which version the alias is of, as NAME:VERSION", args[0])
			}
			return a.with(cmd.Context(), func(ws *workspace.Workspace) error {
				if err := ws.Models().SetAlias(cmd.Context(), name, args[1], version, nil); err != nil {
					return err
				}
				a.say("%s@%s is version %d.", name, args[1], version)
				return nil
			})
		},
	}
}

func (a *app) aliasDelete() *cobra.Command {
	return &cobra.Command{
		Use:     "delete NAME@ALIAS",
		Short:   "Delete an alias; the version stays",
		Example: "  azml model alias delete churn@champion",
		Args:    exactly(1, "an alias as NAME@ALIAS"),
		RunE: func(cmd *cobra.Command, args []string) error {
			name, alias, isAlias := strings.Cut(args[0], "@")
			if !isAlias {
				return usage("alias %q: write NAME@ALIAS", args[0])
			}
			return a.with(cmd.Context(), func(ws *workspace.Workspace) error {
				if err := ws.Models().DeleteAlias(cmd.Context(), name, alias, nil); err != nil {
					return err
				}
				a.say("Deleted alias %s.", args[0])
				return nil
			})
		},
	}
}

// aliasView is one alias as `azml model alias list` gives it.
type aliasView struct {
	// Alias is the alias.
	Alias string `json:"alias"`
	// Version is the version that it points to.
	Version int `json:"version"`
}

func sortedAliases(d model.RegisteredDetails) []aliasView {
	list := []aliasView{}
	for _, alias := range slices.Sorted(maps.Keys(d.Aliases)) {
		list = append(list, aliasView{alias, d.Aliases[alias]})
	}
	return list
}

func (a *app) aliasList() *cobra.Command {
	return &cobra.Command{
		Use:     "list NAME",
		Short:   "List the aliases of a model",
		Example: "  azml model alias list churn",
		Args:    exactly(1, "a model as NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd.Context(), func(ws *workspace.Workspace) error {
				registered, err := ws.Models().GetRegistered(cmd.Context(), args[0], nil)
				if err != nil {
					return err
				}
				list := sortedAliases(registered.Details())
				return showList(a, list, "No aliases.", func(t *table) {
					t.row("ALIAS", "VERSION")
					for _, alias := range list {
						t.row(alias.Alias, alias.Version)
					}
				})
			})
		},
	}
}
