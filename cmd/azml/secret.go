package main

import (
	"context"
	"encoding/base64"
	"os"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/azml-go/azml/workspace"
)

func (a *app) secretCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "secret",
		Short:   "Set, read, list and delete secrets of the workspace",
		Example: "  azml secret set db-password < password.txt",
	}
	cmd.AddCommand(a.secretSet(), a.secretGet(), a.secretList(), a.secretDelete())
	return cmd
}

func (a *app) secretSet() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "set NAME",
		Short: "Store a secret, whose value is asked for or read from the standard input or a file",
		Long: `Store a secret. Its value is never an argument, where others could see it: on a
terminal it is asked for without being shown, else it is read from the standard
input, without the line end after it. With --file it is what the file holds, to
the last byte.`,
		Example: `  azml secret set db-password
  azml secret set db-password < password.txt
  azml secret set tls-key --file key.pem`,
		Args: exactly(1, "the name of a secret; its value is read from the standard input or a file"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd.Context(), func(ws *workspace.Workspace) error {
				value, err := a.secretValue(cmd.Context(), args[0], file)
				if err != nil {
					return err
				}
				if err := ws.Secrets().Set(cmd.Context(), args[0], value); err != nil {
					return err
				}
				a.say("Stored secret %s.", args[0])
				return nil
			})
		},
	}
	cmd.Flags().StringVarP(&file, "file", "f", "", "file whose content is the value")
	return cmd
}

// secretValue reads the value of a secret from the file when one is named.
func (a *app) secretValue(ctx context.Context, name, file string) (string, error) {
	if file == "" {
		return a.readSecret(ctx, name)
	}
	data, err := os.ReadFile(file)
	return string(data), err
}

// secretView is a secret with its value.
type secretView struct {
	// Name is the secret's name.
	Name string `json:"name"`
	// Value is the secret's value, as Encoding says.
	Value string `json:"value"`
	// Encoding is "base64" for a value that is no text, else empty.
	Encoding string `json:"encoding,omitempty"`
}

// viewOf gives the view of a secret: JSON has no bytes that are no UTF-8.
func viewOf(name, value string) secretView {
	if utf8.ValidString(value) {
		return secretView{Name: name, Value: value}
	}
	return secretView{name, base64.StdEncoding.EncodeToString([]byte(value)), "base64"}
}

func (a *app) secretGet() *cobra.Command {
	return &cobra.Command{
		Use:     "get NAME",
		Short:   "Print the value of a secret",
		Example: "  password=$(azml secret get db-password)",
		Args:    exactly(1, "the name of a secret"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd.Context(), func(ws *workspace.Workspace) error {
				value, err := ws.Secrets().Get(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				if a.output == outputTable {
					return a.printAnswer([]byte(value))
				}
				return a.show(viewOf(args[0], value), nil)
			})
		},
	}
}

func (a *app) secretList() *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List the names of the secrets",
		Example: "  azml secret list",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(cmd.Context(), func(ws *workspace.Workspace) error {
				names, err := collect(ws.Secrets().List(cmd.Context()), 0, func(name string) string { return name })
				if err != nil {
					return err
				}
				return showList(a, names, "No secrets.", func(t *table) {
					for _, name := range names {
						t.row(name)
					}
				})
			})
		},
	}
}

func (a *app) secretDelete() *cobra.Command {
	return &cobra.Command{
		Use:     "delete NAME",
		Short:   "Delete a secret",
		Example: "  azml secret delete db-password",
		Args:    exactly(1, "the name of a secret"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd.Context(), func(ws *workspace.Workspace) error {
				if err := ws.Secrets().Delete(cmd.Context(), args[0]); err != nil {
					return err
				}
				a.say("Deleted secret %s.", args[0])
				return nil
			})
		},
	}
}
