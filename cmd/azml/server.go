package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/azml-go/azml/server"
	"github.com/azml-go/azml/token"
	"github.com/azml-go/azml/workspace"
)

// serving is what the flags of `azml server` say.
type serving struct {
	listen, tokenFile string
	certFile, keyFile string
	opts              server.Options
}

func (a *app) serverCommand() *cobra.Command {
	var s serving
	cmd := &cobra.Command{
		Use:   "server",
		Short: "Serve the workspace to MLflow clients, until Ctrl-C",
		Long: `Serve the workspace over HTTP, so that MLflow clients of any language work with it
unchanged. Any number of servers and other programs can use a workspace at once.

Without tokens only clients on this machine get in, and an address that others
reach is refused. Once a token exists (azml token create), or with --token-file,
nothing but /health is answered without one.`,
		Example: `  azml server
  azml server --listen 0.0.0.0:5000 --allow-host ml.example.com
  MLFLOW_TRACKING_URI=http://127.0.0.1:5000 python train.py`,
		Args: noArgs,
	}
	f := cmd.Flags()
	f.StringVar(&s.listen, "listen", "127.0.0.1:5000", "HOST:PORT to listen on; port 0 takes a free one")
	f.StringVar(&s.tokenFile, "token-file", "", "file with a token of the role owner that is taken beside those of the workspace")
	f.StringArrayVar(&s.opts.AllowedHosts, "allow-host", nil, "name under which clients may call the server, beside localhost, this machine's name and IP addresses (repeatable)")
	f.StringArrayVar(&s.opts.CORSOrigins, "cors-origin", nil, "origin, such as https://ml.example.com, of another site whose pages may call the server (repeatable)")
	f.BoolVar(&s.opts.NoAuth, "no-auth", false, "let in everybody on this machine, even when there are tokens; only on a loopback address")
	f.StringVar(&s.certFile, "tls-cert", "", "file with the certificate (PEM), to serve HTTPS; a renewed one is taken within a second")
	f.StringVar(&s.keyFile, "tls-key", "", "file with the certificate's key (PEM)")
	cmd.MarkFlagsRequiredTogether("tls-cert", "tls-key")
	cmd.MarkFlagsMutuallyExclusive("no-auth", "token-file")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return a.with(cmd.Context(), func(ws *workspace.Workspace) error { return a.serveClients(cmd.Context(), ws, &s) })
	}
	return cmd
}

func (a *app) serveClients(ctx context.Context, ws *workspace.Workspace, s *serving) error {
	if err := s.complete(); err != nil {
		return err
	}
	if s.opts.Logger = a.logger(); s.opts.Logger == nil {
		s.opts.Logger = slog.New(slog.NewTextHandler(a.stderr, nil)) // refusals, and what goes wrong
	}
	srv, err := server.New(ws, &s.opts)
	if err != nil {
		return err
	}
	opts := &server.ServeOptions{CertificateFile: s.certFile, KeyFile: s.keyFile}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.listen)
	if err != nil {
		return err
	}
	needed, err := srv.TokenNeeded(ctx)
	if err != nil {
		return errors.Join(err, l.Close())
	}
	var showErr error
	opts.Ready = func() { showErr = a.showServer(serverView{ws.Name(), s.url(l.Addr()), needed}) }
	return errors.Join(srv.Serve(ctx, l, opts), showErr)
}

// complete reads the token, and allows the names that the server has anyway.
func (s *serving) complete() error {
	host, _, err := net.SplitHostPort(s.listen)
	if err != nil {
		return usage("--listen %q: use HOST:PORT, such as 127.0.0.1:5000", s.listen)
	}
	own, err := os.Hostname()
	for _, name := range []string{host, own} {
		if name != "" && err == nil && net.ParseIP(name) == nil {
			s.opts.AllowedHosts = append(s.opts.AllowedHosts, name)
		}
	}
	if s.tokenFile == "" {
		return nil
	}
	data, err := os.ReadFile(s.tokenFile)
	if err != nil {
		return err
	}
	if s.opts.Token = token.Secret(strings.TrimSpace(string(data))); s.opts.Token == "" {
		return fmt.Errorf("the token file %s is empty: write a token of at least 32 random characters into it", s.tokenFile)
	}
	return nil
}

// url says where clients find the server.
func (s *serving) url(addr net.Addr) string {
	scheme := "http://"
	if s.certFile != "" {
		scheme = "https://"
	}
	tcp, ok := addr.(*net.TCPAddr)
	if !ok || !tcp.IP.IsUnspecified() {
		return scheme + addr.String()
	}
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	return scheme + net.JoinHostPort(host, fmt.Sprint(tcp.Port))
}

// serverView is a server that listens.
type serverView struct {
	// Workspace is the workspace's name.
	Workspace string `json:"workspace"`
	// URL is where clients find it.
	URL string `json:"url"`
	// Tokens says that nobody gets in without a token.
	Tokens bool `json:"tokens"`
}

func (a *app) showServer(v serverView) error {
	return a.show(v, func(t *table) {
		t.line("Workspace " + v.Workspace + " is served at " + v.URL)
		t.line("Clients:  export MLFLOW_TRACKING_URI=" + v.URL)
		if v.Tokens {
			t.line("          export MLFLOW_TRACKING_TOKEN=…   (azml token create makes one)")
		}
	})
}
