package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/azml-go/azml/endpoint"
	"github.com/azml-go/azml/internal/terminal"
)

func (a *app) endpointInvoke() *cobra.Command {
	var data, file string
	var opts endpoint.InvokeOptions
	cmd := &cobra.Command{
		Use:   "invoke NAME (--data JSON | --file FILE)",
		Short: "Send a request to an endpoint and print its answer",
		Long:  `Send a request to an endpoint and print its answer as it is. Without --data and --file the request is read from the standard input.`,
		Example: `  azml endpoint invoke churn --data '{"data": [[1, 2, 3]]}'
  azml endpoint invoke churn --file request.json
  echo 42 | azml endpoint invoke churn`,
		Args:              exactly(1, "the name of an endpoint"),
		ValidArgsFunction: a.completeEndpoints(),
	}
	cmd.Flags().StringVarP(&data, "data", "d", "", "the request")
	cmd.Flags().StringVar(&file, "file", "", "file with the request")
	cmd.Flags().StringVar(&opts.ContentType, "content-type", "", "type of the request (default application/json)")
	cmd.Flags().StringVar(&opts.Deployment, "deployment", "", "the deployment that is to answer (default: one by its share of the traffic)")
	var trust trustFlag
	trust.add(cmd)
	cmd.MarkFlagsMutuallyExclusive("data", "file")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var err error
		if opts.RootCAs, err = trust.authorities(); err != nil {
			return err
		}
		body, err := a.request(cmd.Context(), cmd.Flags().Changed("data"), data, file)
		if err != nil {
			return err
		}
		return a.withEndpoint(cmd.Context(), args[0], func(e *endpoint.Endpoint) error {
			answer, err := e.Invoke(cmd.Context(), body, &opts)
			if err != nil {
				return trustHint(err)
			}
			return a.printAnswer(answer)
		})
	}
	return cmd
}

// trustFlag is --cacert of the commands that send requests.
type trustFlag struct{ file string }

func (f *trustFlag) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.file, "cacert", "", "file with the certificate of the authority to trust (default: the system's)")
}

// authorities gives those to trust, nil for the system's.
func (f *trustFlag) authorities() (*x509.CertPool, error) {
	if f.file == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(f.file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, usage("--cacert %s: there is no certificate in it", f.file)
	}
	return pool, nil
}

// trustHint adds what helps against a certificate that is not trusted.
func trustHint(err error) error {
	if _, unknown := errors.AsType[x509.UnknownAuthorityError](err); unknown {
		return fmt.Errorf("%w (--cacert FILE names whom to trust)", err)
	}
	return err
}

// request reads what to send.
func (a *app) request(ctx context.Context, given bool, data, file string) ([]byte, error) {
	switch {
	case given:
		return []byte(data), nil
	case file != "":
		return os.ReadFile(file)
	case terminal.IsTerminal(a.stdin):
		return nil, usage("give the request: --data JSON, --file FILE, or on the standard input")
	}
	return a.readAll(ctx)
}

// printAnswer prints the bytes as they are; a terminal gets an end of line.
func (a *app) printAnswer(answer []byte) error {
	if terminal.IsTerminal(a.stdout) && (len(answer) == 0 || answer[len(answer)-1] != '\n') {
		answer = append(answer, '\n')
	}
	_, err := a.stdout.Write(answer)
	return err
}

// keysView is what `azml endpoint keys` gives.
type keysView struct {
	// Primary is the primary key, REDACTED unless it is to be shown.
	Primary string `json:"primaryKey"`
	// Secondary is the secondary key, REDACTED unless it is to be shown.
	Secondary string `json:"secondaryKey"`
}

// endpointToken is what `azml endpoint keys --token` gives.
type endpointToken struct {
	// Token is the token.
	Token string `json:"accessToken"`
	// RefreshAfter is when another one should be asked for.
	RefreshAfter time.Time `json:"refreshAfter"`
	// ExpiryOn is when it ends.
	ExpiryOn time.Time `json:"expiryOn"`
}

func (a *app) endpointKeys() *cobra.Command {
	var show, regenerate string
	var token bool
	var life time.Duration
	cmd := &cobra.Command{
		Use:   "keys NAME",
		Short: "Show or replace the keys of an endpoint",
		Long: `Show or replace the keys of an endpoint. Their values are printed only with
--show: both, or the one that is named, alone and ready for a script.`,
		Example: `  azml endpoint keys churn --show
  key=$(azml endpoint keys churn --show=primary)
  azml endpoint keys churn --regenerate secondary
  token=$(azml endpoint keys churn --token --life 1h)`,
		Args:              exactly(1, "the name of an endpoint"),
		ValidArgsFunction: a.completeEndpoints(),
	}
	cmd.Flags().StringVar(&show, "show", "", "print the values: both, primary or secondary")
	cmd.Flags().Lookup("show").NoOptDefVal = "both"
	cmd.Flags().StringVar(&regenerate, "regenerate", "", "replace this key: primary or secondary")
	cmd.Flags().BoolVar(&token, "token", false, "print a new token for an endpoint that takes tokens")
	cmd.Flags().DurationVar(&life, "life", 0, "how long the token is good (default 12h)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		which, ok := keyNames[strings.ToLower(regenerate)]
		if !ok {
			return usage("--regenerate %q: use primary or secondary", regenerate)
		}
		shown, ok := keyNames[strings.ToLower(show)]
		if !ok && show != "both" {
			return usage("--show=%q: use both, primary or secondary", show)
		}
		return a.withEndpoint(cmd.Context(), args[0], func(e *endpoint.Endpoint) error {
			if which != "" {
				if _, err := e.RegenerateKey(cmd.Context(), which, ""); err != nil {
					return err
				}
				a.say("The %s key was replaced.", strings.ToLower(string(which)))
			}
			if token {
				t, err := e.Token(cmd.Context(), &endpoint.TokenOptions{Life: life})
				if err != nil {
					return err
				}
				view := endpointToken{t.Token, t.RefreshAfter, t.ExpiryOn}
				return a.show(view, func(out *table) { out.line(t.Token) })
			}
			return a.showKeys(cmd.Context(), e, show == "both", shown)
		})
	}
	return cmd
}

// keyNames are the keys by the words of the command line.
var keyNames = map[string]endpoint.Key{"": "", "primary": endpoint.PrimaryKey, "secondary": endpoint.SecondaryKey}

func (a *app) showKeys(ctx context.Context, e *endpoint.Endpoint, both bool, one endpoint.Key) error {
	keys, err := e.Keys(ctx)
	if err != nil {
		return err
	}
	view := keysView{Primary: "REDACTED", Secondary: "REDACTED"}
	if both || one == endpoint.PrimaryKey {
		view.Primary = keys.Primary
	}
	if both || one == endpoint.SecondaryKey {
		view.Secondary = keys.Secondary
	}
	return a.show(view, func(t *table) {
		switch one {
		case endpoint.PrimaryKey:
			t.line(view.Primary)
		case endpoint.SecondaryKey:
			t.line(view.Secondary)
		default:
			t.field("Primary", view.Primary)
			t.field("Secondary", view.Secondary)
		}
	})
}
