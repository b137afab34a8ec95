package main

import (
	"context"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/azml-go/azml/datastore"
	"github.com/azml-go/azml/workspace"
)

// datastoreFlags say where the data of a new datastore is.
type datastoreFlags struct {
	folder, http, s3, blob, postgres, sqlite string // one of them

	endpoint, region, prefix, accessKey, sessionToken string
	user, sslMode, host                               string
	port                                              int
	sas, bearer, anonymous                            bool
}

func (f *datastoreFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.folder, "folder", "", "a folder of this machine or of a network file system")
	flags.StringVar(&f.http, "http", "", "the URL of a web server that is read only")
	flags.StringVar(&f.s3, "s3", "", "a bucket of Amazon S3 or of a server like it (--endpoint)")
	flags.StringVar(&f.blob, "blob", "", "a container of Azure Blob Storage, ACCOUNT/CONTAINER")
	flags.StringVar(&f.postgres, "postgresql", "", "a PostgreSQL database for queries (--host, --user)")
	flags.StringVar(&f.sqlite, "sqlite", "", "a SQLite file for queries")
	kinds := []string{"folder", "http", "s3", "blob", "postgresql", "sqlite"}
	cmd.MarkFlagsOneRequired(kinds...)
	cmd.MarkFlagsMutuallyExclusive(kinds...)
	flags.StringVar(&f.endpoint, "endpoint", "", "URL of the server of --s3 or --blob")
	flags.StringVar(&f.region, "region", "", "region of the bucket")
	flags.StringVar(&f.prefix, "prefix", "", "beginning of the names that belong to the datastore, in a bucket or container")
	flags.StringVar(&f.accessKey, "access-key-id", "", "ID of the key of --s3; the key itself is asked for")
	flags.StringVar(&f.sessionToken, "session-token-from", "", "environment variable with the session token of a temporary key of --s3")
	flags.StringVar(&f.host, "host", "localhost", "server of --postgresql")
	flags.IntVar(&f.port, "port", 0, "port of --postgresql (default 5432)")
	flags.StringVar(&f.user, "user", "", "user of --postgresql or --http; the password is asked for")
	flags.StringVar(&f.sslMode, "ssl-mode", "", "disable, require, verify-ca or verify-full (default: verify-full, on this machine disable)")
	flags.BoolVar(&f.sas, "sas", false, "ask for a shared access signature for --blob instead of an account key")
	flags.BoolVar(&f.bearer, "bearer", false, "ask for a token that is sent to --http")
	flags.BoolVar(&f.anonymous, "no-credential", false, "ask for no credential")
	cmd.MarkFlagsMutuallyExclusive("sas", "bearer", "no-credential")
}

// asks tells what credential is to be asked for, "" for none.
func (f *datastoreFlags) asks() string {
	switch {
	case f.anonymous:
		return ""
	case f.s3 != "" && f.accessKey != "":
		return "the secret access key"
	case f.blob != "" && f.sas:
		return "the shared access signature"
	case f.blob != "":
		return "the account key"
	case f.http != "" && f.bearer:
		return "the bearer token"
	case f.http != "" && f.user != "", f.postgres != "":
		return "the password of " + f.user
	}
	return ""
}

// config makes the datastore's configuration, with the credential that was
// asked for.
func (f *datastoreFlags) config(secret datastore.Secret) (datastore.Config, error) {
	switch {
	case f.folder != "":
		return datastore.Folder{Path: f.folder}, nil
	case f.sqlite != "":
		return datastore.SQLite{Path: f.sqlite}, nil
	case f.http != "" && f.bearer:
		return datastore.HTTP{URL: f.http, BearerToken: secret}, nil
	case f.http != "":
		return datastore.HTTP{URL: f.http, User: f.user, Password: secret}, nil
	case f.postgres != "":
		return datastore.PostgreSQL{Host: f.host, Port: f.port, Database: f.postgres, User: f.user, Password: secret, SSLMode: f.sslMode}, nil
	case f.s3 != "":
		return datastore.S3{Endpoint: f.endpoint, Bucket: f.s3, Region: f.region, Prefix: f.prefix, AccessKeyID: f.accessKey, SecretAccessKey: secret,
			SessionToken: datastore.Secret(os.Getenv(f.sessionToken))}, nil
	}
	return f.blobConfig(secret)
}

func (a *app) datastoreCreate() *cobra.Command {
	var where datastoreFlags
	var opts datastore.RegisterOptions
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "Register a datastore: its facts in a record, its credential in the secret store",
		Long: `Register a datastore. It is connected to first, and nothing is registered when
that fails. A credential is never an argument, where others could see it: on a
terminal it is asked for without being shown, else it is read from the standard
input. The data stays where it is.`,
		Example: `  azml datastore create raw --folder /mnt/data
  azml datastore create lake --s3 my-bucket --endpoint https://s3.example.com --access-key-id AKIA... < key.txt
  azml datastore create sales --postgresql sales --host db.example.com --user reader < password.txt
  azml datastore create web --http https://example.com/data/`,
		Args: exactly(1, "the name of a datastore"),
	}
	where.add(cmd)
	cmd.Flags().StringVar(&opts.Description, "description", "", "what it is for")
	tags := tagsFlag(cmd, "tag", "tag of the datastore")
	cmd.Flags().BoolVar(&opts.Overwrite, "overwrite", false, "replace a datastore of the same name")
	cmd.Flags().BoolVar(&opts.SkipValidation, "skip-validation", false, "register without connecting")
	cmd.Flags().BoolVar(&opts.Create, "create", false, "make the folder, bucket or container when it is not there")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		opts.Tags = tags.values
		secret, err := a.askCredential(cmd.Context(), where.asks())
		if err != nil {
			return err
		}
		config, err := where.config(secret)
		if err != nil {
			return err
		}
		return a.with(cmd.Context(), func(ws *workspace.Workspace) error {
			d, err := ws.Datastores().Register(cmd.Context(), args[0], config, &opts)
			if err != nil {
				return overwriteHint(err)
			}
			view, err := viewDatastores(cmd.Context(), ws)
			if err != nil {
				return err
			}
			return a.showDatastore(view(d))
		})
	}
	return cmd
}

func (a *app) askCredential(ctx context.Context, what string) (datastore.Secret, error) {
	if what == "" {
		return "", nil
	}
	secret, err := a.readSecret(ctx, what)
	if err == nil && secret == "" {
		return "", usage("%s is empty: give it on the standard input, or --no-credential", what)
	}
	return datastore.Secret(secret), err
}

func (f *datastoreFlags) blobConfig(secret datastore.Secret) (datastore.Config, error) {
	account, container, ok := strings.Cut(f.blob, "/")
	if !ok || strings.Contains(container, "/") {
		return nil, usage("--blob %q: use ACCOUNT/CONTAINER", f.blob)
	}
	b := datastore.Blob{Account: account, Container: container, Endpoint: f.endpoint, Prefix: f.prefix}
	if f.sas {
		b.SASToken = secret
	} else {
		b.AccountKey = secret
	}
	return b, nil
}
