package azureblob

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// DatastoreType is the type of datastores that are containers, Azure ML's name.
const DatastoreType = "AzureBlob"

// Driver opens containers as datastores. Facts of a connection are "account",
// "container", "endpoint" (the account's URL) and "prefix"; credentials are
// "accountKey" or "sasToken". Blobs have the names of the files, as other
// programs expect, where a Store for a workspace spells them in its own way.
type Driver struct {
	// Credential is used for datastores that were registered without one. Nil:
	// these are asked without any, as containers that anybody may read.
	Credential azcore.TokenCredential
}

// Type gives DatastoreType.
func (Driver) Type() string { return DatastoreType }

// Open implements backend.DatastoreDriver.
func (d Driver) Open(_ context.Context, source backend.DatastoreSource) (backend.Datastore, error) {
	facts := source.Connection
	if facts["account"] == "" || facts["container"] == "" {
		return nil, fmt.Errorf("%w: name the storage account and the container", azml.ErrInvalid)
	}
	if err := CheckContainer(facts["container"]); err != nil {
		return nil, err
	}
	endpoint := facts["endpoint"]
	if endpoint == "" {
		endpoint = "https://" + facts["account"] + ".blob.core.windows.net"
	}
	if u, err := url.Parse(endpoint); err != nil || u.Host == "" || u.User != nil || u.RawQuery+u.Fragment != "" {
		return nil, fmt.Errorf("%w: endpoint of the storage account: use https://host, or http://host:port/account", azml.ErrInvalid)
	}
	credential, err := d.credential(facts["account"], source.Credentials)
	if err != nil {
		return nil, err
	}
	store, err := Open(strings.TrimSuffix(endpoint, "/")+"/"+facts["container"], credential, nil)
	if err != nil {
		return nil, err
	}
	store.prefix, store.asIs = facts["prefix"], true
	return datastore{store}, nil
}

func (d Driver) credential(account string, given backend.Credentials) (Credential, error) {
	switch {
	case given["accountKey"] != "":
		return SharedKey(account, given["accountKey"])
	case given["sasToken"] != "":
		return SAS(given["sasToken"]), nil
	case d.Credential != nil:
		return Token(d.Credential), nil
	}
	return Credential{}, nil
}

// datastore is a Store of files that others write, too.
type datastore struct{ *Store }

// Check implements backend.Datastore: it lists one blob, which also tells
// whether the credential is good.
func (d datastore) Check(ctx context.Context) error {
	for _, err := range d.List(ctx, &backend.ListOptions{}) {
		if noContainer(err) { // a workspace's store is out without it, here it is what was named
			err = fmt.Errorf("%w: %w", azml.ErrNotFound, err)
		}
		return err
	}
	return nil
}

// Create implements backend.DatastoreCreator.
func (d datastore) Create(ctx context.Context) error { return d.createContainer(ctx) }
