package mongodb

import (
	"context"

	"go.mongodb.org/mongo-driver/bson"
)

// keepPreImages has the server keep images before changes of captured collections, where the configuration allows it:
// changes from then on have them. A collection whose images can't be switched on is captured without.
func (r *reader) keepPreImages(ctx context.Context, collections []namespace) {
	if !r.config.ManagePreImages {
		return
	}
	for _, n := range collections {
		if r.keepsPreImages(ctx, r.client, r.deployment, n) {
			continue
		}
		command := bson.D{
			{Key: "collMod", Value: n.collection},
			{Key: "changeStreamPreAndPostImages", Value: bson.D{{Key: "enabled", Value: true}}},
		}
		if err := r.client.Database(n.database).RunCommand(ctx, command).Err(); err != nil {
			r.log.Warn("pre-images can't be switched on; its events have no before", "collection", n.String(), "error", err)
			continue
		}
		r.log.Info("pre-images are switched on", "collection", n.String())
	}
}
