package datastore

import (
	"fmt"
	"maps"
	"net/url"
	"path/filepath"
	"strconv"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// Config says what kind a datastore is of, where it is and how to get in. The
// kinds of this package are Folder, Blob, S3, HTTP, PostgreSQL and SQLite;
// drivers from elsewhere bring their own.
type Config interface {
	// Source gives what the driver of the kind opens. Errors: ErrInvalid.
	Source() (backend.DatastoreSource, error)
}

// The types of datastores, Azure ML's names where it has the kind.
const (
	// TypeFolder is that of Folder.
	TypeFolder = "LocalFolder"
	// TypeBlob is that of Blob.
	TypeBlob = "AzureBlob"
	// TypeS3 is that of S3.
	TypeS3 = "S3"
	// TypeHTTP is that of HTTP.
	TypeHTTP = "HTTP"
	// TypePostgreSQL is that of PostgreSQL.
	TypePostgreSQL = "AzurePostgreSql"
	// TypeSQLite is that of SQLite.
	TypeSQLite = "SQLite"
	// TypeWorkspace is that of the datastore of a workspace that is in no local
	// folder: its files are objects of the workspace's own store.
	TypeWorkspace = "Workspace"
)

// Folder is a folder of this machine or of a network file system.
type Folder struct {
	// Path is the folder. A relative one is made absolute when it is registered.
	Path string
}

// Source implements Config.
func (f Folder) Source() (backend.DatastoreSource, error) {
	path, err := absolute("Path", f.Path)
	return source(TypeFolder, facts{"path": path}, nil), err
}

// Blob is a container of Azure Blob Storage. Give one credential; without one
// the identity of the program is used, as Azure's SDK finds it.
type Blob struct {
	// Account is the storage account.
	Account string
	// Container is the container.
	Container string
	// Endpoint is the URL of the account, by default
	// https://<account>.blob.core.windows.net.
	Endpoint string
	// Prefix is the beginning of the names of the blobs that belong to the
	// datastore, such as "raw/"; all when empty.
	Prefix string
	// AccountKey is a key of the account.
	AccountKey Secret
	// SASToken is a shared access signature for account or container.
	SASToken Secret
}

// Source implements Config.
func (b Blob) Source() (backend.DatastoreSource, error) {
	s := source(TypeBlob, facts{"account": b.Account, "container": b.Container, "endpoint": b.Endpoint, "prefix": b.Prefix},
		facts{"accountKey": string(b.AccountKey), "sasToken": string(b.SASToken)})
	if len(s.Credentials) > 1 {
		return s, fmt.Errorf("%w: give AccountKey or SASToken, not both", azml.ErrInvalid)
	}
	return s, needs(s, "account", "container")
}

// S3 is a bucket of Amazon S3 or of a server that speaks its protocol.
type S3 struct {
	// Endpoint is the URL of the server, by default https://s3.amazonaws.com.
	Endpoint string
	// Bucket is the bucket.
	Bucket string
	// Region is the bucket's region; it is asked for when empty.
	Region string
	// Prefix is the beginning of the keys that belong to the datastore, such as
	// "raw/"; all when empty.
	Prefix string
	// AccessKeyID names the key. Without one, requests are not signed.
	AccessKeyID string
	// SecretAccessKey is the key.
	SecretAccessKey Secret
	// SessionToken belongs to temporary keys.
	SessionToken Secret
}

// Source implements Config.
func (s S3) Source() (backend.DatastoreSource, error) {
	src := source(TypeS3, facts{"endpoint": s.Endpoint, "bucket": s.Bucket, "region": s.Region, "prefix": s.Prefix, "accessKeyId": s.AccessKeyID},
		facts{"secretAccessKey": string(s.SecretAccessKey), "sessionToken": string(s.SessionToken)})
	if (s.AccessKeyID == "") != (s.SecretAccessKey == "") {
		return src, fmt.Errorf("%w: give AccessKeyID and SecretAccessKey, or neither", azml.ErrInvalid)
	}
	return src, needs(src, "bucket")
}

// HTTP is a web server whose files are read by their paths below a URL. It
// can't be listed or written to.
type HTTP struct {
	// URL is where paths begin, such as https://example.org/data/.
	URL string
	// User and Password are for basic authentication.
	User     string
	Password Secret // of User
	// BearerToken is sent as "Authorization: Bearer …".
	BearerToken Secret
}

// Source implements Config.
func (h HTTP) Source() (backend.DatastoreSource, error) {
	s := source(TypeHTTP, facts{"url": h.URL, "user": h.User}, facts{"password": string(h.Password), "bearerToken": string(h.BearerToken)})
	u, err := url.Parse(h.URL)
	switch {
	case err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "":
		return s, fmt.Errorf("%w: URL: use http://host/path or https://host/path", azml.ErrInvalid)
	case u.User != nil, u.RawQuery != "", u.Fragment != "":
		return s, fmt.Errorf("%w: URL holds a user, a query or a fragment, which would be seen by all: give User and Password, or BearerToken", azml.ErrInvalid)
	case h.BearerToken != "" && (h.User != "" || h.Password != ""):
		return s, fmt.Errorf("%w: give User and Password or BearerToken, not both", azml.ErrInvalid)
	}
	return s, nil
}

// PostgreSQL is a database that is asked by Datastore.Query.
type PostgreSQL struct {
	// Host is the server's name or address.
	Host string
	// Port is the server's port, by default 5432.
	Port int
	// Database is the database.
	Database string
	// User is the role to log in as. One that may only read is best.
	User string
	// Password is the role's password.
	Password Secret
	// SSLMode is one of "disable", "require", "verify-ca" and "verify-full", the
	// default; "disable" on this machine.
	SSLMode string
}

// Source implements Config.
func (p PostgreSQL) Source() (backend.DatastoreSource, error) {
	port := ""
	if p.Port != 0 {
		port = strconv.Itoa(p.Port)
	}
	s := source(TypePostgreSQL, facts{"host": p.Host, "port": port, "database": p.Database, "user": p.User, "sslMode": p.SSLMode},
		facts{"password": string(p.Password)})
	return s, needs(s, "host", "database", "user")
}

// SQLite is a database file that is asked by Datastore.Query. It is never
// written to.
type SQLite struct {
	// Path is the file. A relative one is made absolute when it is registered.
	Path string
}

// Source implements Config.
func (l SQLite) Source() (backend.DatastoreSource, error) {
	path, err := absolute("Path", l.Path)
	return source(TypeSQLite, facts{"path": path}, nil), err
}

// facts are members of a connection or of credentials.
type facts map[string]string

// source leaves out what was not given.
func source(kind string, connection, credentials facts) backend.DatastoreSource {
	empty := func(_, value string) bool { return value == "" }
	maps.DeleteFunc(connection, empty)
	maps.DeleteFunc(credentials, empty)
	return backend.DatastoreSource{Type: kind, Connection: connection, Credentials: backend.Credentials(credentials)}
}

func needs(s backend.DatastoreSource, names ...string) error {
	for _, name := range names {
		if s.Connection[name] == "" {
			return fmt.Errorf("%w: a datastore of type %s needs %s", azml.ErrInvalid, s.Type, name)
		}
	}
	return nil
}

func absolute(field, path string) (string, error) {
	if path == "" {
		return "", fmt.Errorf("%w: %s is empty", azml.ErrInvalid, field)
	}
	return filepath.Abs(path)
}
