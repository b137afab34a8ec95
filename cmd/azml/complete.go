package main

import (
	"iter"
	"strings"

	"github.com/spf13/cobra"

	"github.com/azml-go/azml/endpoint"
	"github.com/azml-go/azml/experiment"
	"github.com/azml-go/azml/model"
	"github.com/azml-go/azml/run"
	"github.com/azml-go/azml/workspace"
)

// mostCompletions bounds what a shell is offered.
const mostCompletions = 100

// completion offers words for the n-th argument of a command.
type completion = func(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective)

// complete offers the names that list yields for the first most arguments.
func complete[T any](a *app, most int, list func(*cobra.Command, *workspace.Workspace) iter.Seq2[T, error], name func(T) string) completion {
	return func(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
		var words []string
		if most >= 0 && len(args) >= most {
			return nil, cobra.ShellCompDirectiveDefault
		}
		err := a.with(cmd.Context(), func(ws *workspace.Workspace) error {
			for item, err := range list(cmd, ws) {
				if err != nil || len(words) == mostCompletions {
					return err
				}
				if word := name(item); strings.HasPrefix(word, prefix) {
					words = append(words, word)
				}
			}
			return nil
		})
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		return words, cobra.ShellCompDirectiveNoFileComp
	}
}

func (a *app) completeRuns(most int) completion {
	return complete(a, most, func(cmd *cobra.Command, ws *workspace.Workspace) iter.Seq2[*run.Run, error] {
		return ws.Runs().List(cmd.Context(), nil)
	}, (*run.Run).ID)
}

func (a *app) completeExperiments() completion {
	return complete(a, 1, func(cmd *cobra.Command, ws *workspace.Workspace) iter.Seq2[*experiment.Experiment, error] {
		return ws.Experiments().List(cmd.Context(), &experiment.ListOptions{View: experiment.All})
	}, (*experiment.Experiment).Name)
}

func (a *app) completeModels() completion {
	return complete(a, 1, func(cmd *cobra.Command, ws *workspace.Workspace) iter.Seq2[*model.Model, error] {
		return ws.Models().List(cmd.Context(), nil)
	}, (*model.Model).ID)
}

func (a *app) completeEndpoints() completion {
	return complete(a, 1, func(cmd *cobra.Command, ws *workspace.Workspace) iter.Seq2[*endpoint.Endpoint, error] {
		return ws.Endpoints().List(cmd.Context(), nil)
	}, (*endpoint.Endpoint).Name)
}
