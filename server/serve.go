package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/certificate"
	"github.com/azml-go/azml/internal/core"
)

// ServeOptions are the options of Serve.
type ServeOptions struct {
	// TLS makes Serve speak TLS with its clients; it must have a certificate.
	// Nil means plain HTTP, over which tokens can be read by who is in between,
	// unless there is CertificateFile.
	TLS *tls.Config
	// CertificateFile and KeyFile are files (PEM) with a certificate and its key, in
	// place of TLS. When they are renewed, new connections get what is new within a
	// second; while there is no whole pair in them, that of before.
	CertificateFile, KeyFile string
	// Ready is called when the address was found to be a safe one, just before
	// the first request is answered. Nil is not called.
	Ready func()
}

// Serve answers who connects to the listener until ctx ends. Then it takes no
// more requests, lets those under way end for ten seconds, and returns nil. It
// closes the listener. Of connections there are 4,096 at most. What clients have
// logged is stored by then; what could not be stored, for which it has ten more
// seconds, survives in this machine's spool until the next process recovers it.
//
// An address that other machines reach is refused as long as the workspace has
// no token and Options.Token is empty, and with Options.NoAuth. Errors:
// ErrDenied for that, ErrInvalid when there is no certificate in the files,
// ErrUnavailable when the listener fails.
func (s *Server) Serve(ctx context.Context, l net.Listener, opts *ServeOptions) (err error) {
	defer core.Wrap(&err, "serve", kind, s.h.Workspace().Name)
	if opts == nil {
		opts = &ServeOptions{}
	}
	config, err := s.tls(opts)
	if err == nil {
		err = s.checkAddress(ctx, l.Addr())
	}
	if err != nil {
		return errors.Join(err, l.Close())
	}
	if opts.Ready != nil {
		opts.Ready()
	}
	l = s.limits.Listener(l)
	if config != nil {
		l = tls.NewListener(l, config)
	}
	server := s.limits.Server(s, s.log)
	server.BaseContext = func(net.Listener) context.Context { return context.WithoutCancel(ctx) }
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	select {
	case err = <-served:
	case <-ctx.Done():
		s.shutdown(ctx, server)
		err = <-served
	}
	settling, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.limits.Grace)
	defer cancel()
	s.settle(settling)
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("%w: %w", azml.ErrUnavailable, err)
}

// tls gives what HTTPS needs, nil for plain HTTP.
func (s *Server) tls(opts *ServeOptions) (*tls.Config, error) {
	if opts.CertificateFile == "" && opts.KeyFile == "" {
		return opts.TLS, nil
	}
	if opts.TLS != nil {
		return nil, fmt.Errorf("%w: give TLS or CertificateFile and KeyFile, not both", azml.ErrInvalid)
	}
	return certificate.Files{Certificate: opts.CertificateFile, Key: opts.KeyFile}.Config(s.log)
}

// checkAddress refuses to be reached by others without a token.
func (s *Server) checkAddress(ctx context.Context, addr net.Addr) error {
	if isLocal(addr) {
		return nil
	}
	if s.opts.NoAuth {
		return fmt.Errorf("%w: other machines reach %s, and with NoAuth (--no-auth) everybody would be an owner: serve on this machine alone, or leave that out", azml.ErrDenied, addr)
	}
	needed, err := s.TokenNeeded(ctx)
	if err != nil || needed {
		return err
	}
	return fmt.Errorf("%w: other machines reach %s, and no token is asked for: create one first (azml token create)", azml.ErrDenied, addr)
}

// shutdown lets requests end, and breaks off those that don't.
func (s *Server) shutdown(ctx context.Context, server *http.Server) {
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.limits.Grace)
	defer cancel()
	if err := server.Shutdown(closing); err != nil {
		s.log.WarnContext(ctx, "requests were broken off at the server's end", "error", err)
		_ = server.Close() // the connections are cut in any case
	}
}
