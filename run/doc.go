// Package run is one training run: its record and status, its metrics and
// parameters, its files, logs and children. Runs are made by package
// experiment; here they are logged to, waited for, read and searched.
//
// What [Run.Log] promises: when it returns, the point survives the death of the
// process; when [Run.Flush] or [Run.Complete] returns, it is durable in the
// workspace.
package run
