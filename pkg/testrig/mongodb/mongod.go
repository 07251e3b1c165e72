package mongodb

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/mongo"
)

// mongodSet is the replica set that a mongod is made, for only those have change streams.
const mongodSet = "datawatch"

// findMongod gives the machine's own MongoDB server, "" where there is none.
func findMongod() string {
	path, err := exec.LookPath("mongod")
	if err != nil {
		return ""
	}
	return path
}

// mongodArguments are what a mongod is started with; its data folder has to exist.
func (s *Server) mongodArguments() ([]string, error) {
	data := filepath.Join(s.dir, "data")
	if err := os.MkdirAll(data, 0o700); err != nil {
		return nil, err
	}
	args := []string{"--bind_ip", "127.0.0.1", "--port", strconv.Itoa(s.port), "--dbpath", data}
	if !s.options.Standalone {
		args = append(args, "--replSet", mongodSet)
	}
	return args, nil
}

// initiate makes a mongod a replica set of one, where it isn't one already, and waits until it takes writes.
func (s *Server) initiate(ctx context.Context, client *mongo.Client) error {
	admin := client.Database("admin")
	initiated := false
	for {
		var hello struct {
			IsWritablePrimary bool   `bson:"isWritablePrimary"`
			IsMaster          bool   `bson:"ismaster"` // servers before 5.0
			SetName           string `bson:"setName"`
			IsReplicaSet      bool   `bson:"isreplicaset"` // started as one, and not made one yet
		}
		err := admin.RunCommand(ctx, bson.D{{Key: "isMaster", Value: 1}}).Decode(&hello)
		switch {
		case err == nil && (hello.IsWritablePrimary || hello.IsMaster):
			s.set = hello.SetName // that of the data folder, if it was there before
			return nil
		case err == nil && hello.IsReplicaSet && !initiated:
			set := bson.D{{Key: "_id", Value: mongodSet}, {Key: "members", Value: bson.A{bson.D{{Key: "_id", Value: 0}, {Key: "host", Value: s.Addr()}}}}}
			if err := admin.RunCommand(ctx, bson.D{{Key: "replSetInitiate", Value: set}}).Err(); err != nil {
				return fmt.Errorf("make it a replica set: %w", err)
			}
			initiated = true
		}
		select {
		case <-s.proc.Done():
			return fmt.Errorf("the server ended: %w\n%s", s.proc.Err(), s.proc.Tail())
		case <-ctx.Done():
			return errors.Join(errors.New("the replica set has no primary"), err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}
