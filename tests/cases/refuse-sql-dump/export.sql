PRAGMA defer_foreign_keys=TRUE;
INSERT INTO "modules" ("id","audit_token") VALUES(1,'t');
