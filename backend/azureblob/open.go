package azureblob

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/service"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend/internal/trybody"
)

// Open makes a store of a container, such as
// https://ACCOUNT.blob.core.windows.net/CONTAINER. Nil options mean the
// defaults. It sends nothing. Close it. Errors: ErrInvalid, also for a credential
// that was made of nothing: only the zero Credential is that of anybody.
func Open(containerURL string, credential Credential, opts *Options) (*Store, error) {
	if strings.Contains(containerURL, "?") {
		return nil, fmt.Errorf("%w: the container's URL has a query: give a shared access signature as a credential, so that nobody sees it", azml.ErrInvalid)
	}
	if credential.lacks != "" {
		return nil, fmt.Errorf("%w: %s; for a container that anybody may use, give the zero Credential", azml.ErrInvalid, credential.lacks)
	}
	if opts == nil {
		opts = &Options{}
	}
	transport, idle := opts.Transport, func() {}
	if transport == nil {
		own := NewHTTPClient(containerURL, opts.Stall)
		transport, idle = own, own.CloseIdleConnections
	}
	options := policy.ClientOptions{
		Retry:     retries(opts.Retry),
		Telemetry: policy.TelemetryOptions{ApplicationID: "azml"},
		Transport: transport,

		PerRetryPolicies: []policy.Policy{trybody.Policy{}},
	}
	client, err := credential.client(containerURL, &container.ClientOptions{ClientOptions: options})
	if err != nil {
		return nil, fmt.Errorf("%w: %q is not the URL of a container, such as https://ACCOUNT.blob.core.windows.net/CONTAINER", azml.ErrInvalid, containerURL)
	}
	s, err := New(client, opts)
	if err != nil {
		return nil, err
	}
	s.idle, s.credential = idle, credential
	if s.account, err = credential.account(containerURL, &service.ClientOptions{ClientOptions: options}); err != nil {
		return nil, fmt.Errorf("%w: the URL of a container is not in a storage account: %w", azml.ErrInvalid, err)
	}
	return s, nil
}

// retries fills in the store's own policy.
func retries(o policy.RetryOptions) policy.RetryOptions {
	o.MaxRetries = cmp.Or(o.MaxRetries, 6)
	o.RetryDelay = cmp.Or(o.RetryDelay, 200*time.Millisecond)
	o.MaxRetryDelay = cmp.Or(o.MaxRetryDelay, 30*time.Second)
	if o.ShouldRetry == nil && o.StatusCodes == nil {
		o.ShouldRetry = worthRetry
	}
	return o
}
