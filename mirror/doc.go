// Package mirror brings what one workspace has into another, wherever the two
// are: runs that were made offline into the shared workspace, a workspace into
// its copy elsewhere, once or for as long as it goes on.
//
//	report, err := workspace.Sync(ctx, cloud, laptop, nil)
//
// What is there already is not brought again, what was changed on both sides is
// left and listed, and nothing is deleted unless that is asked for. A sync that
// was cut off anywhere is simply begun again. Both directions may be used in
// turn, and several syncs may run at once.
package mirror
