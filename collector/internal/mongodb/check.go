package mongodb

import (
	"context"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/mongo"

	"datawatch/pkg/daemon"
	"datawatch/pkg/reason"
)

const checkTimeout = 30 * time.Second

// Check finds out whether the source could work.
func (s *Source) Check(ctx context.Context) []daemon.Finding {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	what := "source " + s.name
	client, err := s.connect(ctx)
	if err != nil {
		return []daemon.Finding{{What: what + " connection", Err: err, Remedy: remedyOf(err)}}
	}
	defer disconnect(ctx, client)
	d, err := ask(ctx, client)
	if err != nil {
		return []daemon.Finding{{What: what + " connection", Err: err, Remedy: reason.DoMongoUnanswered.With().String()}}
	}
	findings := []daemon.Finding{{What: what + " connection", Detail: "MongoDB " + d.text}}
	if err := d.usable(); err != nil {
		return append(findings, daemon.Finding{What: what + " deployment", Err: err, Remedy: remedyOf(err)})
	}
	findings = append(findings, s.checkStream(ctx, client, d))
	return append(findings, s.checkCollections(ctx, client, d)...)
}

// remedyOf is what an error says is to be done about it.
func remedyOf(err error) string {
	_, do := reason.Of(err)
	return do.String()
}

// checkStream opens the change stream at the present.
func (s *Source) checkStream(ctx context.Context, client *mongo.Client, d deployment) daemon.Finding {
	f := daemon.Finding{What: "source " + s.name + " change stream"}
	scope, right := "the deployment", "grant the user readAnyDatabase, or name one database in collections"
	if database := s.selection.database(); database != "" {
		scope, right = "database "+database, "grant the user the role read on "+database
	}
	stream, err := s.watch(ctx, client, d, begin(s.now(), "", d.now))
	if err != nil {
		f.Err, f.Remedy = fmt.Errorf("open a change stream on %s: %w", scope, err), right
		return f
	}
	_ = stream.Close(ctx) // it was only tried
	f.Detail = "may be opened on " + scope
	return f
}

// checkCollections tells what would be captured, and of which collections the image before a change can't be had.
func (s *Source) checkCollections(ctx context.Context, client *mongo.Client, d deployment) []daemon.Finding {
	f := daemon.Finding{What: "source " + s.name + " collections"}
	found, err := s.collections(ctx, client)
	if err != nil {
		f.Err, f.Remedy = err, "grant the user the role read (listDatabases, listCollections)"
		return []daemon.Finding{f}
	}
	f.Detail = fmt.Sprintf("%d match", len(found))
	if len(found) == 0 {
		f.Detail = "none matches yet; those that come will be captured"
	}
	findings := []daemon.Finding{f}
	for _, n := range found {
		if s.keepsPreImages(ctx, client, d, n.namespace) {
			continue
		}
		detail := "keeps no pre-images: its events have no before (from MongoDB 6.0 on, manage_pre_images switches them on)"
		if s.config.ManagePreImages && d.atLeast(6, 0) {
			detail = "pre-images are to be switched on at start, by collMod"
		}
		findings = append(findings, daemon.Finding{What: fmt.Sprintf("source %s %s", s.name, n), Detail: detail})
	}
	return findings
}

func (s *Source) keepsPreImages(ctx context.Context, client *mongo.Client, d deployment, n namespace) bool {
	if !d.atLeast(6, 0) {
		return false
	}
	specifications, err := client.Database(n.database).ListCollectionSpecifications(ctx, bson.D{{Key: "name", Value: n.collection}})
	if err != nil || len(specifications) == 0 {
		return false
	}
	enabled, _ := specifications[0].Options.Lookup("changeStreamPreAndPostImages", "enabled").BooleanOK()
	return enabled
}
