package main

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/azml-go/azml/token"
	"github.com/azml-go/azml/workspace"
)

func (a *app) tokenCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Create, list and revoke the tokens that let clients of servers in",
		Example: `  export MLFLOW_TRACKING_TOKEN=$(azml token create ci --role contributor)
  azml token list`,
	}
	cmd.AddCommand(a.tokenCreate(), a.tokenList(), a.tokenRevoke())
	return cmd
}

// tokenView is a token, with its secret where that is known.
type tokenView struct {
	token.Details
	// State is active, expired or revoked.
	State token.State `json:"state"`
	// Token is what clients send, known only when it is created.
	Token string `json:"token,omitempty"`
}

func viewToken(t *token.Token) tokenView {
	return tokenView{Details: t.Details(), State: t.Details().State(time.Now())}
}

func (a *app) tokenCreate() *cobra.Command {
	var role, expires string
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "Create a token and print it, this one time",
		Long: `Create a token for clients of a server of this workspace, and print it: only a
hash of it is kept. NAME says what it is for; in the audit log, changes that are
made with it have its name and ID. A reader reads; a contributor also creates,
logs and registers; an owner also deletes.`,
		Example: `  export MLFLOW_TRACKING_TOKEN=$(azml token create ci)
  azml token create dashboard --role reader --expires 365d`,
		Args: exactly(1, "the name of a token"),
	}
	cmd.Flags().StringVar(&role, "role", string(token.RoleContributor), "what it may do: reader, contributor or owner")
	cmd.Flags().StringVar(&expires, "expires", "30d", "for how long it is taken, such as 12h or 90d")
	must(cmd.RegisterFlagCompletionFunc("role", cobra.FixedCompletions(words(token.Roles()), cobra.ShellCompDirectiveNoFileComp)))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		life, err := parseSpan(expires)
		if err != nil || life <= 0 {
			return usage("--expires %q: use a time span such as 12h or 90d", expires)
		}
		return a.with(cmd.Context(), func(ws *workspace.Workspace) error {
			t, secret, err := ws.Tokens().Create(cmd.Context(), args[0], token.Role(role), &token.CreateOptions{Life: life})
			if err != nil {
				return err
			}
			if a.output == outputTable {
				a.say("Created token %s (%s), a %s's until %s. It is shown this one time.", t.Name(), t.ID(), t.Role(), t.Details().Expires.Local().Format(time.DateTime))
			}
			v := viewToken(t)
			v.Token = string(secret)
			return a.show(v, func(t *table) { t.line(v.Token) })
		})
	}
	return cmd
}

// words gives strings of any type as plain ones.
func words[S ~string](list []S) []string {
	plain := make([]string, len(list))
	for i, s := range list {
		plain[i] = string(s)
	}
	return plain
}

func (a *app) tokenList() *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List tokens, the newest first",
		Example: "  azml token list -o json",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(cmd.Context(), func(ws *workspace.Workspace) error {
				found, err := collect(ws.Tokens().List(cmd.Context(), nil), 0, viewToken)
				if err != nil {
					return err
				}
				slices.SortStableFunc(found, func(x, y tokenView) int { return y.Created.Compare(x.Created) })
				return showList(a, found, "No tokens: servers answer only clients on their machine.", func(t *table) {
					t.row("TOKEN", "NAME", "ROLE", "STATE", "EXPIRES", "LAST USED", "CREATED BY")
					for _, v := range found {
						t.row(v.ID, v.Name, v.Role, v.State, v.Expires.Local().Format(time.DateOnly), ago(v.LastUsed), v.CreatedBy)
					}
				})
			})
		},
	}
}

func (a *app) tokenRevoke() *cobra.Command {
	return &cobra.Command{
		Use:   "revoke TOKEN",
		Short: "Revoke a token: servers refuse it within a second",
		Long: `Revoke a token, named by its ID, or by its name if only one that is still taken has
it. It stays in lists, since changes that were made with it stay in the audit log.`,
		Example: `  azml token revoke 0123456789abcdef
  azml token revoke ci`,
		Args:              exactly(1, "the ID or the name of a token"),
		ValidArgsFunction: a.completeTokens(),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd.Context(), func(ws *workspace.Workspace) error {
				id, err := tokenID(cmd.Context(), ws, args[0])
				if err != nil {
					return err
				}
				t, err := ws.Tokens().Revoke(cmd.Context(), id, nil)
				if err != nil {
					return err
				}
				if a.output == outputTable {
					a.say("Revoked token %s (%s).", t.Name(), t.ID())
					return nil
				}
				return a.show(viewToken(t), nil)
			})
		},
	}
}

// tokenID finds the ID of the token that the user names; a secret names itself,
// so that one that was found somewhere can be revoked as it is.
func tokenID(ctx context.Context, ws *workspace.Workspace, name string) (string, error) {
	var ids []string
	for t, err := range ws.Tokens().List(ctx, nil) {
		if err != nil {
			return "", err
		}
		if t.ID() == name || strings.HasPrefix(name, "azml_"+t.ID()+"_") {
			return t.ID(), nil
		}
		if t.Name() == name && viewToken(t).State == token.StateActive {
			ids = append(ids, t.ID())
		}
	}
	switch len(ids) {
	case 0:
		return name, nil // which the library refuses
	case 1:
		return ids[0], nil
	}
	return "", fmt.Errorf("%d tokens have the name %s: name one by its ID: %s", len(ids), name, strings.Join(ids, ", "))
}

func (a *app) completeTokens() completion {
	return complete(a, 1, func(cmd *cobra.Command, ws *workspace.Workspace) iter.Seq2[*token.Token, error] {
		return ws.Tokens().List(cmd.Context(), nil)
	}, (*token.Token).ID)
}
