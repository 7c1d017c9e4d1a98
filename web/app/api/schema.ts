// Made by `npm run types` from server/openapi.json.
export interface paths {
    "/api/v1/actions/test": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Try a target out */
        post: operations["testTarget"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/audit": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List what callers did by hand */
        get: operations["listAudit"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/commits/{commit}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Ask what became of a commit */
        get: operations["getCommit"];
        /** Send a commit */
        put: operations["sendCommit"];
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/commits/{commit}/trees": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List what became of the trees of a commit */
        get: operations["listCommitTrees"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/deliveries/failed": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List failed deliveries */
        get: operations["listFailedDeliveries"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/deliveries/replay": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Replay all deliveries that failed in a range of time */
        post: operations["replayFailed"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/deliveries/{delivery}/cancel": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Cancel a delivery */
        post: operations["cancelDelivery"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/deliveries/{delivery}/replay": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Replay a delivery */
        post: operations["replayDelivery"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/events": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Be told of changes by server-sent events */
        get: operations["events"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/export": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Export trees */
        post: operations["exportTrees"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/handlers": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List the handlers that workers offer */
        get: operations["listHandlers"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/ids": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Reserve ids */
        post: operations["reserveIds"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/jobs": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Create a job */
        post: operations["createJob"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/jobs/rows": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Get rows of a tree */
        post: operations["getRows"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/jobs/states": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Get the visible states of many jobs */
        post: operations["getStates"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/jobs/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Get a job */
        get: operations["getJob"];
        put?: never;
        post?: never;
        /** Delete a tree */
        delete: operations["deleteTree"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/jobs/{id}/actions": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List the actions of a job */
        get: operations["listActions"];
        put?: never;
        /** Add an action to a job */
        post: operations["addAction"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/jobs/{id}/actions/{number}/test": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Try an action out */
        post: operations["testAction"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/jobs/{id}/ancestors": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List the ancestors of a job */
        get: operations["listAncestors"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/jobs/{id}/attachments": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List the attachments of a job */
        get: operations["listAttachments"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/jobs/{id}/attachments/{key}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Get the text of an attachment */
        get: operations["getAttachment"];
        /** Put an attachment */
        put: operations["putAttachment"];
        post?: never;
        /** Delete an attachment */
        delete: operations["deleteAttachment"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/jobs/{id}/blockers": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List what a job waits for, or why it failed */
        get: operations["listBlockers"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/jobs/{id}/cancel": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Cancel a job with all that is open below it */
        post: operations["cancelTree"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/jobs/{id}/changes": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List a job's own changes */
        get: operations["listChanges"];
        put?: never;
        /** Report a state */
        post: operations["reportChange"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/jobs/{id}/checks": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List the checks of a job */
        get: operations["listChecks"];
        put?: never;
        /** Add a check to a job */
        post: operations["addCheck"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/jobs/{id}/checks/{number}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /** Cancel a check */
        delete: operations["cancelCheck"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/jobs/{id}/children": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List the direct children of a job */
        get: operations["listChildren"];
        put?: never;
        /** Create children of one parent */
        post: operations["createChildren"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/jobs/{id}/deliveries": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List the deliveries of a job */
        get: operations["listDeliveries"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/jobs/{id}/descendants": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List the descendants of a job */
        get: operations["listDescendants"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/jobs/{id}/log": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Read the log of a job */
        get: operations["readLog"];
        put?: never;
        /** Append lines to the log of a job */
        post: operations["appendLog"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/jobs/{id}/options": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        /** Replace the options of a job */
        put: operations["updateOptions"];
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/jobs/{id}/path": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Get a job and all jobs above it as the roll-up sees them */
        get: operations["getPath"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/jobs/{id}/shape": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Get the shape of a tree */
        get: operations["getShape"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/jobs/{id}/state": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Get the visible state of a job */
        get: operations["getState"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/jobs/{id}/statistics": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Get the numbers and times of a tree */
        get: operations["getStatistics"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/jobs/{id}/task": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Get the task of a job */
        get: operations["getTask"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/jobs/{id}/task/cancel": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Cancel a task */
        post: operations["cancelTask"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/jobs/{id}/task/children": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Create children of a job whose task the caller has on lease */
        post: operations["createChildrenOfTask"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/jobs/{id}/task/log": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Append lines to the log of a job whose task the caller has on lease */
        post: operations["appendLogOfTask"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/jobs/{id}/task/pause": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Pause a task */
        post: operations["pauseTask"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/jobs/{id}/task/report": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Report what has become of a task */
        post: operations["reportTask"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/jobs/{id}/task/resume": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Resume a task */
        post: operations["resumeTask"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/jobs/{id}/timeline": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Get the timeline of a job */
        get: operations["getTimeline"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/jobs/{id}/wait": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Wait for a state */
        get: operations["waitForState"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/live": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Be told of changes over a WebSocket */
        get: operations["live"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/overview": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Get an overview of a server */
        get: operations["getOverview"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/planned-times": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** See when a definition would fire */
        post: operations["previewSchedule"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/queue": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List the queue */
        get: operations["listQueue"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/queue/counts": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Count the queue */
        get: operations["countQueue"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/retention/preview": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** See what a retention rule would delete now */
        post: operations["previewRetentionRule"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/retention/rules": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List the retention rules */
        get: operations["listRetentionRules"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/retention/rules/{name}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        /** Put a retention rule */
        put: operations["putRetentionRule"];
        post?: never;
        /** Delete a retention rule */
        delete: operations["deleteRetentionRule"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/roots": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List root jobs */
        get: operations["listRoots"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/schedules": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List the schedules */
        get: operations["listSchedules"];
        put?: never;
        /** Create a schedule */
        post: operations["createSchedule"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/schedules/{name}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Get a schedule */
        get: operations["getSchedule"];
        /** Replace the definition of a schedule */
        put: operations["replaceSchedule"];
        post?: never;
        /** Delete a schedule */
        delete: operations["deleteSchedule"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/schedules/{name}/disable": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Disable a schedule */
        post: operations["disableSchedule"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/schedules/{name}/enable": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Enable a schedule */
        post: operations["enableSchedule"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/schedules/{name}/firings": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List the firings of a schedule */
        get: operations["listFirings"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/schedules/{name}/next-fires": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List the next planned times of a schedule */
        get: operations["listNextFires"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/schedules/{name}/register": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Register the schedule of a program */
        post: operations["registerSchedule"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/schedules/{name}/trigger": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Fire a schedule by hand */
        post: operations["triggerSchedule"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/session": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Ask who the caller is */
        get: operations["getSession"];
        put?: never;
        /** Begin a session */
        post: operations["createSession"];
        /** End the session */
        delete: operations["endSession"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/tokens": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List the tokens */
        get: operations["listTokens"];
        put?: never;
        /** Make a token */
        post: operations["createToken"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/tokens/{name}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /** Revoke a token */
        delete: operations["revokeToken"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/workers": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List the workers */
        get: operations["listWorkers"];
        put?: never;
        /** Register a worker */
        post: operations["registerWorker"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/workers/socket": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Be a worker over a WebSocket */
        get: operations["workerSocket"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/workers/{name}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Get a worker */
        get: operations["getWorker"];
        put?: never;
        post?: never;
        /** Leave */
        delete: operations["leaveWorker"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/workers/{name}/claim": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Claim tasks */
        post: operations["claimTasks"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/workers/{name}/drain": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Have a worker finish what it has */
        post: operations["drainWorker"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/workers/{name}/heartbeat": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Give a sign of life */
        post: operations["heartbeat"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/workers/{name}/kick": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Keep a worker out */
        post: operations["kickWorker"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/healthz": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Whether the process is alive */
        get: operations["health"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/metrics": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Numbers for Prometheus */
        get: operations["metrics"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/openapi.json": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** This document */
        get: operations["openapi"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/readyz": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Whether the service takes work */
        get: operations["ready"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
}
export type webhooks = Record<string, never>;
export interface components {
    schemas: {
        Action: {
            email?: components["schemas"]["EmailAction"] | null;
            http?: components["schemas"]["HttpAction"] | null;
            states: components["schemas"]["StateSet"];
        } | {
            http: Record<string, never>;
        } | {
            email: Record<string, never>;
        };
        ActionView: {
            email?: components["schemas"]["EmailAction"] | null;
            http?: components["schemas"]["HttpView"] | null;
            states: components["schemas"]["StateSet"];
        };
        Added: {
            added: boolean;
            /** Format: int32 */
            number: number;
        };
        AlarmAction: {
            /** @enum {string} */
            kind: "http";
            /** Format: uri */
            url: string;
        } | {
            /** @enum {string} */
            kind: "email";
            to: string[];
        };
        Ancestors_JobItem: {
            items: (components["schemas"]["Job"] | components["schemas"]["JobSummary"])[];
            nextCursor?: string | null;
            ranks?: components["schemas"]["Rank"][] | null;
            /** Format: int64 */
            version?: number | null;
        };
        AttachmentInfo: {
            key: string;
            /** Format: int32 */
            size: number;
        };
        Attachments: {
            items: components["schemas"]["AttachmentInfo"][];
        };
        Attempt: {
            response: string;
            /** Format: int32 */
            status?: number | null;
            time: components["schemas"]["Timestamp"];
        };
        /** @enum {string} */
        AttemptFailure: "failed" | "timeout" | "workerLost";
        AuditEntry: {
            act: string;
            failed?: string | null;
            from?: string | null;
            how?: components["schemas"]["Authentication"] | null;
            name: string;
            requestId: string;
            role: components["schemas"]["Role"];
            subject: string;
            time: components["schemas"]["Timestamp"];
        };
        /** @enum {string} */
        Authentication: "token" | "session" | "open" | "proxy";
        BlockedChange: {
            job: components["schemas"]["JobId"];
            /** Format: int64 */
            position: number;
            state: components["schemas"]["State"];
        };
        Blocker: {
            job: components["schemas"]["Job"];
            lastChange: components["schemas"]["Change"];
            path?: components["schemas"]["PathStep"][] | null;
        };
        BlockerItem: components["schemas"]["Blocker"] | components["schemas"]["BlockerSummary"];
        BlockerSummary: {
            job: components["schemas"]["JobSummary"];
            lastChange: components["schemas"]["Change"];
            path?: components["schemas"]["PathStep"][] | null;
        };
        CancelledTree: {
            /** Format: int64 */
            ended: number;
            more: boolean;
            /** Format: int64 */
            stopping: number;
        };
        Change: {
            by?: string | null;
            changeId?: string | null;
            message?: string | null;
            reasonCode?: string | null;
            state: components["schemas"]["State"];
            time: components["schemas"]["Timestamp"];
        };
        /** @enum {string} */
        Channel: "http" | "email";
        CheckKind: {
            at: components["schemas"]["Timestamp"];
            /** @enum {string} */
            kind: "state";
            states: components["schemas"]["StateSet"];
        } | {
            at: components["schemas"]["Timestamp"];
            expression: string;
            /** @enum {string} */
            kind: "subtree";
        } | {
            /** @enum {string} */
            kind: "silence";
            /** Format: int64 */
            quiet_ms: number;
        };
        /** @enum {string} */
        CheckKindName: "state" | "subtree" | "silence";
        /** @enum {string} */
        CheckStatus: "waiting" | "passed" | "failed" | "cancelled";
        CheckView: components["schemas"]["CheckKind"] & {
            failure?: components["schemas"]["TargetView"] | null;
            success?: components["schemas"]["TargetView"] | null;
        };
        Children: {
            /** Format: int64 */
            failed: number;
            /** Format: int64 */
            pending: number;
            /** Format: int64 */
            successful: number;
        };
        ChildrenPage_JobItem: {
            items: (components["schemas"]["Job"] | components["schemas"]["JobSummary"])[];
            nextCursor?: string | null;
            /** Format: int64 */
            offset?: number | null;
            /** Format: int64 */
            total?: number | null;
            /** Format: int64 */
            version: number;
        };
        ClaimTasks: {
            /** Format: int32 */
            free: number;
            has?: {
                [key: string]: number;
            };
            /** Format: int64 */
            waitMs?: number;
        };
        ClaimedTask: {
            after?: components["schemas"]["FollowedRun"] | null;
            /** Format: int32 */
            attempt: number;
            /** Format: int64 */
            cancelGraceMs: number;
            data?: components["schemas"]["Payload"] | null;
            deadline?: components["schemas"]["Timestamp"] | null;
            /** Format: int32 */
            epoch: number;
            /** Format: int64 */
            executionMs?: number | null;
            handler: string;
            job: components["schemas"]["JobId"];
            params?: components["schemas"]["Payload"] | null;
            perWorkerKey?: string | null;
            shard?: components["schemas"]["Shard"] | null;
        };
        ClaimedTasks: {
            tasks: components["schemas"]["ClaimedTask"][];
        };
        ClientFrame: (components["schemas"]["Subscribe"] & {
            /** @enum {string} */
            t: "sub";
        }) | {
            ids: components["schemas"]["JobId"][];
            /** Format: int32 */
            sub: number;
            /** @enum {string} */
            t: "window";
        } | {
            /** Format: int32 */
            sub: number;
            /** @enum {string} */
            t: "unsub";
        } | {
            /** Format: int32 */
            everyMs: number;
            /** Format: int32 */
            sub: number;
            /** @enum {string} */
            t: "pace";
        } | {
            /** @enum {string} */
            t: "ping";
        };
        Concurrency: {
            /** @enum {string} */
            kind: "queue";
            /** Format: int32 */
            limit?: number;
        } | {
            /** @enum {string} */
            kind: "discardNew";
        } | {
            /** @enum {string} */
            kind: "replaceRunning";
        } | {
            /** @enum {string} */
            kind: "allow";
            /** Format: int32 */
            max: number;
        };
        /** @enum {string} */
        ConcurrencyScope: "schedule" | "worker";
        Created: {
            created: boolean;
            id: components["schemas"]["JobId"];
            root: components["schemas"]["JobId"];
            state: components["schemas"]["State"];
        };
        CreatedChildren: {
            items: components["schemas"]["Created"][];
        };
        CreatedToken: {
            secret: string;
            token: components["schemas"]["Token"];
        };
        DailyWindow: {
            days?: components["schemas"]["Weekday"][];
            from: components["schemas"]["TimeOfDay"];
            to: components["schemas"]["TimeOfDay"];
            zone?: string;
        };
        DeletedTree: {
            deleteTime: components["schemas"]["Timestamp"];
            deletedBy: string;
            /** Format: int64 */
            jobs: number;
            knownUntil: components["schemas"]["Timestamp"];
            root: components["schemas"]["JobId"];
        };
        DeliveriesState: {
            followUps: components["schemas"]["FollowUpLoad"];
            /** Format: int64 */
            version: number;
        };
        Delivery: {
            /** Format: int32 */
            attempts: number;
            channel: components["schemas"]["Channel"];
            endTime?: components["schemas"]["Timestamp"] | null;
            event: components["schemas"]["Event"];
            id: string;
            job: components["schemas"]["JobId"];
            lastAttempt?: components["schemas"]["Attempt"] | null;
            nextTry?: components["schemas"]["Timestamp"] | null;
            /** Format: int32 */
            recipient?: number | null;
            status: components["schemas"]["DeliveryStatus"];
            trigger: components["schemas"]["Trigger"];
        };
        DeliveryPage: {
            items: components["schemas"]["Delivery"][];
            /** Format: int32 */
            lost?: number;
            nextCursor?: string | null;
        };
        /** @enum {string} */
        DeliveryStatus: "waiting" | "delivered" | "failed" | "cancelled";
        EmailAction: {
            cc?: string[];
            subject?: string | null;
            to: string[];
        };
        /** @enum {string} */
        EndState: "RanToCompletion" | "Faulted";
        Event: {
            children: components["schemas"]["Children"];
            message?: string | null;
            quietSince?: components["schemas"]["Timestamp"] | null;
            root: components["schemas"]["JobId"];
            source: components["schemas"]["JobId"];
            state: components["schemas"]["State"];
            subtree: components["schemas"]["Subtree"];
            time: components["schemas"]["Timestamp"];
        };
        /** @enum {string} */
        EventKind: "created" | "changed" | "state" | "log" | "options" | "attachment" | "delivery" | "flushed" | "deleted";
        Expect: {
            /** Format: int32 */
            changes?: number | null;
            states?: components["schemas"]["StateSet"] | null;
        };
        ExportCounts: {
            /** Format: int64 */
            attachments: number;
            /** Format: int64 */
            changes: number;
            /** Format: int64 */
            followUps?: number;
            /** Format: int64 */
            jobs: number;
            /** Format: int64 */
            logLines: number;
            /** Format: int64 */
            repeats: number;
        };
        ExportPosition: {
            counts: components["schemas"]["ExportCounts"];
            first?: components["schemas"]["ExportedRoot"] | null;
            last?: components["schemas"]["ExportedRoot"] | null;
            /** Format: int64 */
            trees: number;
        };
        ExportRequest: {
            after?: components["schemas"]["ExportPosition"] | null;
            from?: components["schemas"]["Timestamp"] | null;
            roots?: components["schemas"]["JobId"][];
            until?: components["schemas"]["Timestamp"] | null;
        };
        ExportedRoot: {
            createTime: components["schemas"]["Timestamp"];
            id: components["schemas"]["JobId"];
        };
        Firing: {
            cause?: components["schemas"]["FiringCause"];
            /** Format: int32 */
            count?: number;
            endTime?: components["schemas"]["Timestamp"] | null;
            /** Format: int64 */
            number: number;
            outcome: components["schemas"]["FiringOutcome"];
            planned: components["schemas"]["Timestamp"];
            startTime?: components["schemas"]["Timestamp"] | null;
            state?: components["schemas"]["State"] | null;
            time: components["schemas"]["Timestamp"];
            until?: components["schemas"]["Timestamp"] | null;
        };
        FiringCause: {
            /** @enum {string} */
            kind: "planned";
        } | {
            by: string;
            /** @enum {string} */
            kind: "manual";
        } | {
            /** @enum {string} */
            kind: "after";
            run: components["schemas"]["JobId"];
            schedule: string;
        } | {
            /** @enum {string} */
            kind: "task";
        };
        FiringOutcome: {
            /** @enum {string} */
            kind: "started";
            run: components["schemas"]["JobId"];
        } | {
            /** @enum {string} */
            kind: "queued";
            run: components["schemas"]["JobId"];
        } | {
            /** @enum {string} */
            kind: "skipped";
            reason: components["schemas"]["SkipReason"];
        } | {
            /** @enum {string} */
            kind: "misfired";
            policy: components["schemas"]["MisfirePolicy"];
        };
        FollowUpLoad: {
            /** Format: int64 */
            delivered: number;
            /** Format: int64 */
            due: number;
            /** Format: int64 */
            failed: number;
            /** Format: int64 */
            underWay: number;
        };
        FollowedRun: {
            result?: components["schemas"]["Payload"] | null;
            run: components["schemas"]["JobId"];
            schedule: string;
            state: components["schemas"]["State"];
        };
        Frame: {
            /** Format: int64 */
            heartbeatMs: number;
            /** Format: int32 */
            rows: number;
            /** Format: int32 */
            subscriptions: number;
            /** @enum {string} */
            t: "hello";
        } | (components["schemas"]["Snapshot"] & {
            /** @enum {string} */
            t: "snap";
        }) | (components["schemas"]["RootsState"] & {
            /** @enum {string} */
            t: "roots";
        }) | (components["schemas"]["DeliveriesState"] & {
            /** @enum {string} */
            t: "deliveries";
        }) | (components["schemas"]["OverviewState"] & {
            /** @enum {string} */
            t: "overview";
        }) | (components["schemas"]["ListState_WorkerView"] & {
            /** @enum {string} */
            t: "workers";
        }) | (components["schemas"]["ListState_Schedule"] & {
            /** @enum {string} */
            t: "schedules";
        }) | (components["schemas"]["QueueLengths"] & {
            /** @enum {string} */
            t: "queue";
        }) | (components["schemas"]["LiveEvent"] & {
            /** @enum {string} */
            t: "event";
        }) | (components["schemas"]["Gap"] & {
            /** @enum {string} */
            t: "gap";
        }) | {
            at?: components["schemas"]["Position"] | null;
            /** @enum {string} */
            t: "mark";
        } | {
            /** @enum {string} */
            t: "pong";
        } | {
            problem: components["schemas"]["Problem"];
            /** @enum {string} */
            t: "end";
        };
        Gap: {
            /** Format: int64 */
            count?: number | null;
            from: components["schemas"]["Position"];
            to: components["schemas"]["Position"];
            why: components["schemas"]["GapReason"];
        };
        /** @enum {string} */
        GapReason: "large" | "rate" | "slow" | "gone" | "otherServer";
        HandlerQueue: components["schemas"]["QueueLength"] & {
            handler: string;
        };
        HandlerView: {
            description: string;
            name: string;
            /** Format: int32 */
            workers: number;
        };
        Health: {
            status: string;
        };
        Heartbeat: {
            /** @default null */
            load: components["schemas"]["WorkerLoad"] | null;
            /** @default [] */
            tasks: components["schemas"]["HeldTask"][];
            /**
             * Format: int64
             * @default 0
             */
            waitMs: number;
        };
        HeldTask: {
            /** Format: int32 */
            epoch: number;
            job: components["schemas"]["JobId"];
            /** Format: int32 */
            progress?: number | null;
        };
        Histogram: {
            buckets: components["schemas"]["Subtree"][];
            countedFrom?: components["schemas"]["Timestamp"] | null;
            from: components["schemas"]["Timestamp"];
            time: components["schemas"]["Timestamp"];
            /** Format: int64 */
            widthMs: number;
        };
        HttpAction: {
            headers?: {
                [key: string]: string;
            };
            payload?: components["schemas"]["Payload"] | null;
            proxy?: components["schemas"]["Proxy"] | null;
            secret?: components["schemas"]["Secret"] | null;
            /** Format: uri */
            url: string;
        };
        HttpView: {
            hasSecret: boolean;
            headers: string[];
            payload?: components["schemas"]["Payload"] | null;
            proxy?: components["schemas"]["ProxyView"] | null;
            url: string;
        };
        IdBlock: {
            /** Format: int32 */
            count: number;
            first: components["schemas"]["JobId"];
        };
        Job: {
            /** Format: int32 */
            attachments: number;
            /** Format: int32 */
            changes: number;
            children: components["schemas"]["Children"];
            createTime: components["schemas"]["Timestamp"];
            createdBy: string;
            /** Format: int32 */
            depth: number;
            endTime?: components["schemas"]["Timestamp"] | null;
            failures?: components["schemas"]["KeptFailure"][];
            id: components["schemas"]["JobId"];
            /** Format: int32 */
            keepDays?: number | null;
            /** Format: int32 */
            logLines: number;
            name: string;
            options?: string | null;
            parent?: components["schemas"]["JobId"] | null;
            root: components["schemas"]["JobId"];
            sourceLink?: string | null;
            startTime?: components["schemas"]["Timestamp"] | null;
            state: components["schemas"]["State"];
            subtree: components["schemas"]["Subtree"];
            summary?: boolean;
            tags: string[];
        };
        JobAction: {
            action: components["schemas"]["ActionView"];
            /** Format: int32 */
            number: number;
        };
        JobCheck: {
            check: components["schemas"]["CheckView"];
            found?: components["schemas"]["State"] | null;
            /** Format: int32 */
            number: number;
            status: components["schemas"]["CheckStatus"];
            time: components["schemas"]["Timestamp"];
            /** Format: int32 */
            told: number;
        };
        JobId: string;
        JobItem: components["schemas"]["Job"] | components["schemas"]["JobSummary"];
        JobNode: {
            /** Format: int32 */
            depth: number;
            id: components["schemas"]["JobId"];
            parent?: components["schemas"]["JobId"] | null;
            root: components["schemas"]["JobId"];
            status: components["schemas"]["Status"];
        };
        JobPath: {
            items: components["schemas"]["JobNode"][];
        };
        JobState: {
            id: components["schemas"]["JobId"];
            state: components["schemas"]["State"];
        };
        JobStates: {
            items: components["schemas"]["JobState"][];
        };
        JobSummary: {
            /** Format: int32 */
            attachments: number;
            /** Format: int32 */
            changes: number;
            children: components["schemas"]["Children"];
            definition?: components["schemas"]["SummaryDefinition"] | null;
            endTime?: components["schemas"]["Timestamp"] | null;
            id: components["schemas"]["JobId"];
            /** Format: int32 */
            logLines: number;
            startTime?: components["schemas"]["Timestamp"] | null;
            state: components["schemas"]["State"];
            subtree: components["schemas"]["Subtree"];
            treeEnd?: components["schemas"]["Mark"] | null;
            treeStart?: components["schemas"]["Mark"] | null;
        };
        KeptFailure: {
            id: components["schemas"]["JobId"];
            message?: string | null;
            name: string;
            path: components["schemas"]["PathStep"][];
            reasonCode?: string | null;
            time: components["schemas"]["Timestamp"];
        };
        KickWorker: {
            /** Format: int64 */
            banMs: number;
        };
        ListState_Schedule: {
            /** Format: int64 */
            from?: number | null;
            keys?: string[] | null;
            more: boolean;
            rows: {
                changeTime: components["schemas"]["Timestamp"];
                changedBy: string;
                code?: components["schemas"]["ScheduleCode"] | null;
                createTime: components["schemas"]["Timestamp"];
                definition: components["schemas"]["ScheduleDefinition"];
                enabled: boolean;
                lastFiring?: components["schemas"]["Firing"] | null;
                name: string;
                next?: components["schemas"]["Timestamp"] | null;
                /** Format: int32 */
                queued: number;
                running: components["schemas"]["JobId"][];
                statistics: components["schemas"]["ScheduleStatistics"];
                /** Format: int64 */
                version: number;
            }[];
            /** Format: int64 */
            version: number;
        };
        ListState_WorkerView: {
            /** Format: int64 */
            from?: number | null;
            keys?: string[] | null;
            more: boolean;
            rows: (components["schemas"]["NewWorker"] & {
                bannedUntil?: components["schemas"]["Timestamp"] | null;
                heard: components["schemas"]["Timestamp"];
                id: string;
                load?: components["schemas"]["WorkerLoad"] | null;
                registered: components["schemas"]["Timestamp"];
                /** Format: int32 */
                running: number;
                state: components["schemas"]["WorkerState"];
            })[];
            /** Format: int64 */
            version: number;
        };
        LiveEvent: components["schemas"]["Occurrence"] & {
            at: components["schemas"]["Position"];
            id: components["schemas"]["JobId"];
        };
        LogAppended: {
            /** Format: int32 */
            count: number;
            /** Format: int32 */
            firstLine: number;
            repeated: boolean;
        };
        LogLine: {
            /** Format: int32 */
            attempt?: number | null;
            /** Format: int32 */
            line: number;
            text: string;
            time: components["schemas"]["Timestamp"];
        };
        Mark: {
            source: components["schemas"]["JobId"];
            time: components["schemas"]["Timestamp"];
        };
        Misfire: {
            /** @enum {string} */
            kind: "fireOnce";
        } | {
            /** @enum {string} */
            kind: "skip";
        } | {
            /** @enum {string} */
            kind: "fireAll";
            /** Format: int32 */
            limit: number;
        };
        /** @enum {string} */
        MisfirePolicy: "fireOnce" | "skip" | "fireAll";
        NamedRetentionRule: {
            by: string;
            name: string;
            rule: components["schemas"]["RetentionRule"];
            time: components["schemas"]["Timestamp"];
        };
        NewChange: {
            changeId?: string | null;
            expect?: components["schemas"]["Expect"] | null;
            message?: string | null;
            reasonCode?: string | null;
            state: components["schemas"]["State"];
        };
        NewCheck: ({
            at?: components["schemas"]["Timestamp"] | null;
            expression?: string | null;
            failure?: components["schemas"]["Target"] | null;
            kind: components["schemas"]["CheckKindName"];
            /** Format: int64 */
            quietMs?: number | null;
            states?: components["schemas"]["StateSet"] | null;
            success?: components["schemas"]["Target"] | null;
        } | {
            success: Record<string, never>;
        } | {
            failure: Record<string, never>;
        }) & ({
            at: unknown;
            expression?: null;
            /** @constant */
            kind?: "state";
            quietMs?: null;
            states: unknown;
        } | {
            at: unknown;
            expression: unknown;
            /** @constant */
            kind?: "subtree";
            quietMs?: null;
            states?: null;
        } | {
            at?: null;
            expression?: null;
            /** @constant */
            kind?: "silence";
            quietMs: unknown;
            states?: null;
            success?: null;
        });
        NewChildren: {
            jobs: components["schemas"]["NewJob"][];
        };
        NewJob: {
            actions?: components["schemas"]["Action"][];
            checks?: components["schemas"]["NewCheck"][];
            createdBy?: string;
            id?: components["schemas"]["JobId"] | null;
            /** Format: int32 */
            keepDays?: number | null;
            name: string;
            options?: string | null;
            parent?: components["schemas"]["JobId"] | null;
            sourceLink?: string | null;
            tags?: string[];
            task?: components["schemas"]["NewTask"] | null;
        };
        NewLogLines: {
            appendId?: string | null;
            lines: string[];
        };
        NewOptions: {
            options: string | null;
        };
        NewSchedule: {
            definition: components["schemas"]["ScheduleDefinition"];
            enabled?: boolean;
            name: string;
        };
        NewSession: {
            token: string;
        };
        NewTask: {
            after?: components["schemas"]["FollowedRun"] | null;
            data?: components["schemas"]["Payload"] | null;
            filter?: components["schemas"]["WorkerFilter"];
            handler: string;
            held?: boolean;
            notBefore?: components["schemas"]["Timestamp"] | null;
            onNoWorker?: components["schemas"]["OnNoWorker"];
            params?: components["schemas"]["Payload"] | null;
            retry?: components["schemas"]["Retry"];
            routing?: components["schemas"]["Routing"];
            shard?: components["schemas"]["Shard"] | null;
            timeouts?: components["schemas"]["Timeouts"];
        };
        NewToken: {
            expireTime?: components["schemas"]["Timestamp"] | null;
            name: string;
            role: components["schemas"]["Role"];
        };
        NewWorker: {
            handlers: components["schemas"]["WorkerHandler"][];
            labels?: {
                [key: string]: string;
            };
            name: string;
            /** Format: int32 */
            slots: number;
            tags?: string[];
        };
        NextFires: {
            after?: components["schemas"]["Timestamp"] | null;
            /** Format: int32 */
            count?: number | null;
            definition: components["schemas"]["ScheduleDefinition"];
        };
        Occurrence: {
            /** @enum {string} */
            kind: "created";
            name: string;
            parent?: components["schemas"]["JobId"] | null;
        } | {
            change: components["schemas"]["Change"];
            /** @enum {string} */
            kind: "changed";
            /** Format: int32 */
            number: number;
        } | {
            before?: components["schemas"]["State"] | null;
            /** @enum {string} */
            kind: "state";
            state: components["schemas"]["State"];
        } | (components["schemas"]["LogLine"] & {
            /** @enum {string} */
            kind: "log";
        }) | {
            /** @enum {string} */
            kind: "options";
        } | {
            key: string;
            /** @enum {string} */
            kind: "attachment";
            /** Format: int32 */
            size?: number | null;
        } | {
            /** Format: int32 */
            attempts: number;
            /** @enum {string} */
            kind: "delivery";
            /** Format: int32 */
            number: number;
            status: components["schemas"]["DeliveryStatus"];
        } | {
            commit?: components["schemas"]["UploadId"] | null;
            /** @enum {string} */
            kind: "flushed";
        } | {
            /** @enum {string} */
            kind: "deleted";
        };
        /** @enum {string} */
        OnNoWorker: "wait" | "fail";
        OperationLoad: {
            /** Format: int64 */
            perMinute: number;
            /** Format: int64 */
            refused: number;
            /** Format: int64 */
            waiting: number;
        };
        Orders: {
            abandon: components["schemas"]["JobId"][];
            cancel: components["schemas"]["JobId"][];
            drain: boolean;
        };
        Overview: {
            followUps: components["schemas"]["FollowUpLoad"];
            operations: components["schemas"]["OperationLoad"];
            requests: components["schemas"]["RequestLoad"];
            started: components["schemas"]["Timestamp"];
            store: components["schemas"]["StoreLoad"];
            time: components["schemas"]["Timestamp"];
            version: string;
            viewers: components["schemas"]["ViewerLoad"];
        };
        OverviewState: {
            overview: components["schemas"]["Overview"];
            /** Format: int64 */
            version: number;
        };
        Page_AuditEntry: {
            items: {
                act: string;
                failed?: string | null;
                from?: string | null;
                how?: components["schemas"]["Authentication"] | null;
                name: string;
                requestId: string;
                role: components["schemas"]["Role"];
                subject: string;
                time: components["schemas"]["Timestamp"];
            }[];
            nextCursor?: string | null;
        };
        Page_BlockerItem: {
            items: (components["schemas"]["Blocker"] | components["schemas"]["BlockerSummary"])[];
            nextCursor?: string | null;
        };
        Page_Change: {
            items: {
                by?: string | null;
                changeId?: string | null;
                message?: string | null;
                reasonCode?: string | null;
                state: components["schemas"]["State"];
                time: components["schemas"]["Timestamp"];
            }[];
            nextCursor?: string | null;
        };
        Page_Delivery: {
            items: {
                /** Format: int32 */
                attempts: number;
                channel: components["schemas"]["Channel"];
                endTime?: components["schemas"]["Timestamp"] | null;
                event: components["schemas"]["Event"];
                id: string;
                job: components["schemas"]["JobId"];
                lastAttempt?: components["schemas"]["Attempt"] | null;
                nextTry?: components["schemas"]["Timestamp"] | null;
                /** Format: int32 */
                recipient?: number | null;
                status: components["schemas"]["DeliveryStatus"];
                trigger: components["schemas"]["Trigger"];
            }[];
            nextCursor?: string | null;
        };
        Page_Firing: {
            items: {
                cause?: components["schemas"]["FiringCause"];
                /** Format: int32 */
                count?: number;
                endTime?: components["schemas"]["Timestamp"] | null;
                /** Format: int64 */
                number: number;
                outcome: components["schemas"]["FiringOutcome"];
                planned: components["schemas"]["Timestamp"];
                startTime?: components["schemas"]["Timestamp"] | null;
                state?: components["schemas"]["State"] | null;
                time: components["schemas"]["Timestamp"];
                until?: components["schemas"]["Timestamp"] | null;
            }[];
            nextCursor?: string | null;
        };
        Page_HandlerView: {
            items: {
                description: string;
                name: string;
                /** Format: int32 */
                workers: number;
            }[];
            nextCursor?: string | null;
        };
        Page_JobAction: {
            items: {
                action: components["schemas"]["ActionView"];
                /** Format: int32 */
                number: number;
            }[];
            nextCursor?: string | null;
        };
        Page_JobCheck: {
            items: {
                check: components["schemas"]["CheckView"];
                found?: components["schemas"]["State"] | null;
                /** Format: int32 */
                number: number;
                status: components["schemas"]["CheckStatus"];
                time: components["schemas"]["Timestamp"];
                /** Format: int32 */
                told: number;
            }[];
            nextCursor?: string | null;
        };
        Page_JobItem: {
            items: (components["schemas"]["Job"] | components["schemas"]["JobSummary"])[];
            nextCursor?: string | null;
        };
        Page_LogLine: {
            items: {
                /** Format: int32 */
                attempt?: number | null;
                /** Format: int32 */
                line: number;
                text: string;
                time: components["schemas"]["Timestamp"];
            }[];
            nextCursor?: string | null;
        };
        Page_NamedRetentionRule: {
            items: {
                by: string;
                name: string;
                rule: components["schemas"]["RetentionRule"];
                time: components["schemas"]["Timestamp"];
            }[];
            nextCursor?: string | null;
        };
        Page_QueuedTask: {
            items: {
                assignedTo?: string | null;
                /** Format: int32 */
                attempt: number;
                cancelling: boolean;
                handler: string;
                job: components["schemas"]["JobId"];
                leaseUntil?: components["schemas"]["Timestamp"] | null;
                name: string;
                /** Format: int32 */
                progress: number;
                since: components["schemas"]["Timestamp"];
                state: components["schemas"]["QueueState"];
                worker?: string | null;
            }[];
            nextCursor?: string | null;
        };
        Page_Schedule: {
            items: {
                changeTime: components["schemas"]["Timestamp"];
                changedBy: string;
                code?: components["schemas"]["ScheduleCode"] | null;
                createTime: components["schemas"]["Timestamp"];
                definition: components["schemas"]["ScheduleDefinition"];
                enabled: boolean;
                lastFiring?: components["schemas"]["Firing"] | null;
                name: string;
                next?: components["schemas"]["Timestamp"] | null;
                /** Format: int32 */
                queued: number;
                running: components["schemas"]["JobId"][];
                statistics: components["schemas"]["ScheduleStatistics"];
                /** Format: int64 */
                version: number;
            }[];
            nextCursor?: string | null;
        };
        Page_Token: {
            items: {
                createTime: components["schemas"]["Timestamp"];
                createdBy: string;
                expireTime?: components["schemas"]["Timestamp"] | null;
                lastUseTime?: components["schemas"]["Timestamp"] | null;
                name: string;
                revokeTime?: components["schemas"]["Timestamp"] | null;
                role: components["schemas"]["Role"];
            }[];
            nextCursor?: string | null;
        };
        Page_TreeResult: {
            items: {
                /** Format: int64 */
                blocked: number;
                blockedChanges: components["schemas"]["BlockedChange"][];
                /** Format: int64 */
                changes: number;
                /** Format: int64 */
                jobs: number;
                refusal?: components["schemas"]["Refusal"] | null;
                /** Format: int64 */
                repeated: number;
                root: components["schemas"]["JobId"];
            }[];
            nextCursor?: string | null;
        };
        Page_WorkerView: {
            items: (components["schemas"]["NewWorker"] & {
                bannedUntil?: components["schemas"]["Timestamp"] | null;
                heard: components["schemas"]["Timestamp"];
                id: string;
                load?: components["schemas"]["WorkerLoad"] | null;
                registered: components["schemas"]["Timestamp"];
                /** Format: int32 */
                running: number;
                state: components["schemas"]["WorkerState"];
            })[];
            nextCursor?: string | null;
        };
        PathStep: {
            id: components["schemas"]["JobId"];
            name: string;
        };
        Payload: unknown;
        PerWorker: {
            key: string;
            /** Format: int32 */
            max: number;
        };
        PlannedTimes: {
            times: components["schemas"]["Timestamp"][];
        };
        Position: string;
        PreviewedTree: {
            createTime: components["schemas"]["Timestamp"];
            endTime: components["schemas"]["Timestamp"];
            /** Format: int64 */
            jobs: number;
            name: string;
            root: components["schemas"]["JobId"];
        };
        Problem: {
            code: string;
            detail: string;
            field?: string | null;
            requestId?: string | null;
            /** Format: int64 */
            retryAfterMs?: number | null;
            stands?: components["schemas"]["Standing"] | null;
            /** Format: int32 */
            status: number;
            title: string;
            type: string;
        };
        Proxy: {
            password?: components["schemas"]["Secret"] | null;
            url: string;
            username?: string | null;
        };
        ProxyView: {
            hasPassword: boolean;
            url: string;
            username?: string | null;
        };
        QueueCounts: components["schemas"]["QueueLength"] & {
            handlers: components["schemas"]["HandlerQueue"][];
            more: boolean;
        };
        QueueLength: {
            /** Format: int64 */
            delayed: number;
            /** Format: int64 */
            leased: number;
            oldest?: components["schemas"]["Timestamp"] | null;
            /** Format: int64 */
            ready: number;
        };
        QueueLengths: {
            counts: components["schemas"]["QueueCounts"];
            /** Format: int64 */
            version: number;
        };
        /** @enum {string} */
        QueueState: "leased" | "ready" | "delayed";
        QueuedTask: {
            assignedTo?: string | null;
            /** Format: int32 */
            attempt: number;
            cancelling: boolean;
            handler: string;
            job: components["schemas"]["JobId"];
            leaseUntil?: components["schemas"]["Timestamp"] | null;
            name: string;
            /** Format: int32 */
            progress: number;
            since: components["schemas"]["Timestamp"];
            state: components["schemas"]["QueueState"];
            worker?: string | null;
        };
        Rank: {
            id: components["schemas"]["JobId"];
            /** Format: int64 */
            rank: number;
            /** Format: int64 */
            siblings: number;
        };
        Refusal: {
            code: string;
            detail: string;
            /** Format: int64 */
            position: number;
        };
        RegisterSchedule: {
            definition: components["schemas"]["ScheduleDefinition"];
            /** Format: int64 */
            version: number;
        };
        /** @enum {string} */
        Registration: "created" | "replaced" | "unchanged" | "olderVersion" | "sameVersion" | "changedByHand";
        ReplayFailed: {
            from: components["schemas"]["Timestamp"];
            to: components["schemas"]["Timestamp"];
        };
        Replayed: {
            more: boolean;
            /** Format: int64 */
            replayed: number;
        };
        Report: {
            /** Format: int32 */
            change: number;
            job: components["schemas"]["JobId"];
            time: components["schemas"]["Timestamp"];
        };
        RequestLoad: {
            /** Format: int64 */
            inFlight: number;
            /** Format: int64 */
            perMinute: number;
        };
        ReserveIds: {
            /** Format: int32 */
            count: number;
        };
        Rest: {
            children: components["schemas"]["Children"];
            subtree: components["schemas"]["Subtree"];
        };
        RetentionPreview: {
            complete: boolean;
            /** Format: int64 */
            jobs: number;
            /** Format: int64 */
            lookedAt: number;
            newest: components["schemas"]["PreviewedTree"][];
            oldest?: components["schemas"]["PreviewedTree"] | null;
            /** Format: int64 */
            trees: number;
        };
        RetentionRule: {
            createdBy?: string | null;
            enabled?: boolean;
            expression?: string | null;
            /** Format: int32 */
            keepDays: number;
            namePrefix?: string | null;
            states?: components["schemas"]["EndState"][];
            /** Format: int32 */
            summaryDays?: number | null;
            tags?: string[];
        };
        Retry: {
            /**
             * Format: int64
             * @default 600000
             */
            capMs: number;
            /**
             * Format: int32
             * @default 2
             */
            factor: number;
            /**
             * Format: int64
             * @default 1000
             */
            initialMs: number;
            /**
             * Format: int32
             * @default 20
             */
            jitterPercent: number;
            /**
             * Format: int32
             * @default 0
             */
            max: number;
            /**
             * @default [
             *       "failed",
             *       "timeout",
             *       "workerLost"
             *     ]
             */
            on: components["schemas"]["AttemptFailure"][];
        };
        /** @enum {string} */
        Role: "reader" | "writer" | "operator" | "admin";
        RootPage_JobItem: {
            histogram?: components["schemas"]["Histogram"] | null;
            items: (components["schemas"]["Job"] | components["schemas"]["JobSummary"])[];
            nextCursor?: string | null;
            /** Format: int64 */
            total: number;
            totalExact: boolean;
        };
        RootsState: {
            /** Format: int64 */
            from?: number | null;
            ids: components["schemas"]["JobId"][];
            more: boolean;
            rows: components["schemas"]["JobSummary"][];
            /** Format: int64 */
            version: number;
        };
        Routing: {
            /** @enum {string} */
            kind: "any";
        } | {
            /** @enum {string} */
            kind: "first";
        } | {
            /** @enum {string} */
            kind: "last";
        } | {
            /** @enum {string} */
            kind: "roundRobin";
        } | {
            /** @enum {string} */
            kind: "random";
        } | {
            key?: string | null;
            /** @enum {string} */
            kind: "consistentHash";
            param?: string | null;
        } | {
            /** @enum {string} */
            kind: "leastDispatched";
        } | {
            /** @enum {string} */
            kind: "leastRecentlyUsed";
        } | {
            /** @enum {string} */
            kind: "leastLoaded";
        } | {
            /** @enum {string} */
            kind: "memoryFirst";
        } | {
            /** @enum {string} */
            kind: "cpuFirst";
        } | {
            /** @enum {string} */
            kind: "fastestResponse";
        } | {
            /** @enum {string} */
            kind: "failover";
        } | {
            /** @enum {string} */
            kind: "idleFirst";
        } | {
            /** @enum {string} */
            kind: "specific";
            workers: string[];
        } | {
            /** @enum {string} */
            kind: "custom";
            name: string;
        };
        /** @enum {string} */
        RunEnding: "success" | "failure" | "finish";
        RunTemplate: {
            /** Format: int32 */
            keepDays?: number | null;
            name?: string | null;
            options?: string | null;
            sourceLink?: string | null;
            tags?: string[];
            task?: components["schemas"]["NewTask"] | null;
        };
        Schedule: {
            changeTime: components["schemas"]["Timestamp"];
            changedBy: string;
            code?: components["schemas"]["ScheduleCode"] | null;
            createTime: components["schemas"]["Timestamp"];
            definition: components["schemas"]["ScheduleDefinition"];
            enabled: boolean;
            lastFiring?: components["schemas"]["Firing"] | null;
            name: string;
            next?: components["schemas"]["Timestamp"] | null;
            /** Format: int32 */
            queued: number;
            running: components["schemas"]["JobId"][];
            statistics: components["schemas"]["ScheduleStatistics"];
            /** Format: int64 */
            version: number;
        };
        ScheduleAlarm: {
            actions: components["schemas"]["AlarmAction"][];
            /** Format: int32 */
            longPercent?: number | null;
            /** Format: int64 */
            notStartedMs?: number | null;
            /** Format: int64 */
            silenceMs?: number | null;
            /** Format: int32 */
            threshold?: number;
        };
        ScheduleCode: {
            changedByHand: boolean;
            /** Format: int64 */
            version: number;
        };
        ScheduleDefinition: {
            alarm?: components["schemas"]["ScheduleAlarm"] | null;
            concurrency?: components["schemas"]["Concurrency"];
            concurrencyScope?: components["schemas"]["ConcurrencyScope"];
            description?: string;
            endAt?: components["schemas"]["Timestamp"] | null;
            /** Format: int64 */
            graceMs?: number;
            misfire?: components["schemas"]["Misfire"];
            run?: components["schemas"]["RunTemplate"];
            sharding?: components["schemas"]["Sharding"];
            startAt?: components["schemas"]["Timestamp"] | null;
            triggers?: components["schemas"]["ScheduleTrigger"][];
            windows?: components["schemas"]["DailyWindow"][];
        };
        ScheduleRegistered: {
            /** Format: int64 */
            codeVersion?: number | null;
            outcome: components["schemas"]["Registration"];
        };
        ScheduleStatistics: {
            /** Format: int64 */
            failed: number;
            lastEnd?: components["schemas"]["Timestamp"] | null;
            /** Format: int64 */
            lastMs?: number | null;
            lastStart?: components["schemas"]["Timestamp"] | null;
            lastState?: components["schemas"]["State"] | null;
            /** Format: int64 */
            meanMs?: number | null;
            /** Format: int64 */
            misfired: number;
            /** Format: int64 */
            runs: number;
            /** Format: int64 */
            skipped: number;
            /** Format: int64 */
            succeeded: number;
        };
        ScheduleTrigger: {
            /** @enum {string} */
            kind: "cron";
            pattern: string;
            zone?: string;
        } | {
            /** Format: int64 */
            everyMs: number;
            /** @enum {string} */
            kind: "fixedRate";
            start?: components["schemas"]["Timestamp"] | null;
        } | {
            /** Format: int64 */
            delayMs: number;
            /** @enum {string} */
            kind: "fixedDelay";
        } | {
            at: components["schemas"]["Timestamp"];
            /** @enum {string} */
            kind: "once";
        } | {
            /** Format: int64 */
            afterMs: number;
            /** @enum {string} */
            kind: "delayed";
        } | {
            /** @enum {string} */
            kind: "after";
            on?: components["schemas"]["RunEnding"];
            schedule: string;
        };
        Secret: string;
        ServerFrame: components["schemas"]["Frame"] & {
            /** Format: int32 */
            sub?: number | null;
        };
        Session: {
            endTime?: components["schemas"]["Timestamp"] | null;
            how: components["schemas"]["Authentication"];
            name: string;
            role: components["schemas"]["Role"];
            tokenRequired: boolean;
        };
        Shape: {
            items: components["schemas"]["ShapeJob"][];
        };
        ShapeJob: {
            job: components["schemas"]["JobSummary"];
            rest?: components["schemas"]["Rest"] | null;
        };
        Shard: {
            /** Format: int32 */
            index: number;
            /** Format: int32 */
            total: number;
        };
        Sharding: {
            /** @enum {string} */
            kind: "one";
        } | {
            /** @enum {string} */
            kind: "fixed";
            /** Format: int32 */
            total: number;
        } | {
            /** @enum {string} */
            kind: "all";
        } | {
            filter: components["schemas"]["WorkerFilter"];
            /** @enum {string} */
            kind: "filter";
        };
        /** @enum {string} */
        SkipReason: "running" | "queueFull" | "replaced";
        Snapshot: {
            /** Format: int64 */
            from?: number | null;
            missing?: components["schemas"]["JobId"][];
            root: components["schemas"]["JobId"];
            rows: components["schemas"]["JobSummary"][];
            /** Format: int64 */
            version: number;
        };
        Standing: {
            /** Format: int32 */
            changes: number;
            last: components["schemas"]["State"];
            state: components["schemas"]["State"];
        };
        /** @enum {string} */
        State: "WaitingForActivation" | "WaitingToRun" | "Running" | "Warning" | "WaitingForChildrenToComplete" | "RanToCompletion" | "Faulted";
        StateQuery: {
            ids: components["schemas"]["JobId"][];
        };
        StateSet: components["schemas"]["State"][];
        Statistics: {
            children: components["schemas"]["Children"];
            /** Format: int64 */
            executionTimeMs?: number | null;
            firstFault?: components["schemas"]["Report"] | null;
            id: components["schemas"]["JobId"];
            state: components["schemas"]["State"];
            subtree: components["schemas"]["Subtree"];
            treeEnd?: components["schemas"]["Mark"] | null;
            treeStart?: components["schemas"]["Mark"] | null;
        };
        Status: {
            /** Format: int32 */
            attachments: number;
            /** Format: int32 */
            changes: number;
            children: components["schemas"]["Children"];
            createTime: components["schemas"]["Timestamp"];
            endTime?: components["schemas"]["Timestamp"] | null;
            everFaulted: boolean;
            firstFault?: components["schemas"]["Report"] | null;
            last: components["schemas"]["State"];
            /** Format: int32 */
            logLines: number;
            startTime?: components["schemas"]["Timestamp"] | null;
            state: components["schemas"]["State"];
            subtree: components["schemas"]["Subtree"];
            treeEnd?: components["schemas"]["Mark"] | null;
            treeStart?: components["schemas"]["Mark"] | null;
        };
        StoreLoad: {
            /** Format: int64 */
            bytes?: number | null;
            /** Format: int64 */
            freeBytes?: number | null;
            isAlive: boolean;
            isShared: boolean;
            /** Format: int64 */
            jobs?: number | null;
        };
        Subscribe: {
            after?: components["schemas"]["Position"] | null;
            /** Format: int32 */
            everyMs?: number | null;
            filter?: string | null;
            ids?: components["schemas"]["JobId"][];
            kinds?: components["schemas"]["EventKind"][] | null;
            /** Format: int64 */
            since?: number | null;
            states?: components["schemas"]["StateSet"] | null;
            /** Format: int32 */
            sub: number;
            topic: components["schemas"]["Topic"];
        };
        Subtree: {
            /** Format: int64 */
            failed: number;
            /** Format: int64 */
            running: number;
            /** Format: int64 */
            successful: number;
            /** Format: int64 */
            total: number;
            /** Format: int64 */
            waiting: number;
            /** Format: int64 */
            waitingForChildren: number;
        };
        SummaryDefinition: {
            createTime: components["schemas"]["Timestamp"];
            createdBy: string;
            /** Format: int32 */
            depth: number;
            name: string;
            parent?: components["schemas"]["JobId"] | null;
            tags: string[];
        };
        Target: {
            email?: components["schemas"]["EmailAction"] | null;
            http?: components["schemas"]["HttpAction"] | null;
        } | {
            http: Record<string, never>;
        } | {
            email: Record<string, never>;
        };
        TargetView: {
            email?: components["schemas"]["EmailAction"] | null;
            http?: components["schemas"]["HttpView"] | null;
        };
        TaskChildren: {
            /** Format: int32 */
            epoch: number;
            jobs: components["schemas"]["NewJob"][];
            worker: string;
        };
        TaskLog: {
            appendId?: string | null;
            /** Format: int32 */
            epoch: number;
            lines: string[];
            worker: string;
        };
        /** @enum {string} */
        TaskPhaseName: "waiting" | "running" | "paused" | "ended";
        TaskReport: {
            data?: components["schemas"]["Payload"] | null;
            /** Format: int32 */
            epoch: number;
            message?: string | null;
            nextAt?: components["schemas"]["Timestamp"] | null;
            /** Format: int32 */
            progress?: number | null;
            result?: components["schemas"]["Payload"] | null;
            state: components["schemas"]["TaskReportState"];
            worker: string;
        };
        /** @enum {string} */
        TaskReportState: "progress" | "succeeded" | "failed" | "timeout" | "rejected" | "paused" | "handedBack";
        TaskReported: {
            cancel: boolean;
            repeated: boolean;
            state: components["schemas"]["State"];
        };
        TaskView: {
            assignedTo?: string | null;
            /** Format: int32 */
            attempt: number;
            cancelling: boolean;
            data?: components["schemas"]["Payload"] | null;
            /** Format: int32 */
            epoch: number;
            job: components["schemas"]["JobId"];
            leaseUntil?: components["schemas"]["Timestamp"] | null;
            nextAt?: components["schemas"]["Timestamp"] | null;
            phase: components["schemas"]["TaskPhaseName"];
            /** Format: int32 */
            progress: number;
            result?: components["schemas"]["Payload"] | null;
            since: components["schemas"]["Timestamp"];
            task: components["schemas"]["NewTask"];
            worker?: string | null;
        };
        Tested: {
            email?: components["schemas"]["TestedChannel"] | null;
            http?: components["schemas"]["TestedChannel"] | null;
        };
        TestedChannel: {
            attempt: components["schemas"]["Attempt"];
            delivered: boolean;
        };
        TimeOfDay: string;
        Timeline: {
            items: components["schemas"]["JobSummary"][];
            job: components["schemas"]["JobSummary"];
            sampled: boolean;
        };
        Timeouts: {
            /** Format: int64 */
            cancelGraceMs?: number;
            /** Format: int64 */
            executionMs?: number | null;
            /** Format: int64 */
            scheduleToStartMs?: number | null;
        };
        /** Format: date-time */
        Timestamp: string;
        Token: {
            createTime: components["schemas"]["Timestamp"];
            createdBy: string;
            expireTime?: components["schemas"]["Timestamp"] | null;
            lastUseTime?: components["schemas"]["Timestamp"] | null;
            name: string;
            revokeTime?: components["schemas"]["Timestamp"] | null;
            role: components["schemas"]["Role"];
        };
        Topic: string;
        TreeResult: {
            /** Format: int64 */
            blocked: number;
            blockedChanges: components["schemas"]["BlockedChange"][];
            /** Format: int64 */
            changes: number;
            /** Format: int64 */
            jobs: number;
            refusal?: components["schemas"]["Refusal"] | null;
            /** Format: int64 */
            repeated: number;
            root: components["schemas"]["JobId"];
        };
        Trigger: {
            /** Format: int32 */
            action: number;
        } | {
            /** Format: int32 */
            checkPassed: number;
        } | {
            /** Format: int32 */
            checkFailed: number;
        };
        TriggerSchedule: {
            /** Format: int64 */
            delayMs?: number | null;
            idempotencyKey?: string | null;
            params?: components["schemas"]["Payload"] | null;
        };
        Triggered: {
            outcome?: components["schemas"]["FiringOutcome"] | null;
            planned: components["schemas"]["Timestamp"];
            run?: components["schemas"]["JobId"] | null;
        };
        Updated: {
            applied: boolean;
            /** Format: int32 */
            changes?: number;
            repeated: boolean;
            state: components["schemas"]["State"];
        };
        UploadId: string;
        UploadOutcome: {
            /** Format: int64 */
            applied: number;
            attention: components["schemas"]["TreeResult"][];
            /** Format: int64 */
            blocked: number;
            /** Format: int64 */
            changes: number;
            complete: boolean;
            id: components["schemas"]["UploadId"];
            /** Format: int64 */
            jobs: number;
            /** Format: int64 */
            refused: number;
            /** Format: int64 */
            trees: number;
        };
        ViewerLoad: {
            /** Format: int64 */
            connections: number;
            /** Format: int64 */
            trees: number;
        };
        Waited: {
            id: components["schemas"]["JobId"];
            reached: boolean;
            state: components["schemas"]["State"];
        };
        /** @enum {string} */
        Weekday: "monday" | "tuesday" | "wednesday" | "thursday" | "friday" | "saturday" | "sunday";
        WindowQuery: {
            ids: components["schemas"]["JobId"][];
            root: components["schemas"]["JobId"];
            /** Format: int64 */
            since?: number | null;
        };
        WorkerAnswer: {
            body?: components["schemas"]["Payload"] | null;
            /** Format: int64 */
            call?: number | null;
            /** Format: int32 */
            status: number;
        };
        WorkerCall: {
            body?: components["schemas"]["Payload"] | null;
            /** Format: int64 */
            call: number;
            job?: components["schemas"]["JobId"] | null;
            op: components["schemas"]["WorkerOp"];
            worker?: string | null;
        };
        WorkerFilter: {
            /** @default {} */
            labels: {
                [key: string]: string;
            };
            /** @default null */
            perWorker: components["schemas"]["PerWorker"] | null;
            /** @default [] */
            tags: string[];
            /** @default [] */
            workers: string[];
        };
        WorkerHandler: {
            description?: string;
            name: string;
        };
        WorkerLoad: {
            /**
             * Format: double
             * @default null
             */
            cpu: number | null;
            /**
             * Format: int64
             * @default null
             */
            freeMemory: number | null;
            /**
             * Format: int32
             * @default null
             */
            processors: number | null;
            /**
             * Format: double
             * @default null
             */
            roundTripMs: number | null;
        };
        /** @enum {string} */
        WorkerOp: "registerWorker" | "claimTasks" | "heartbeat" | "reportTask" | "createChildrenOfTask" | "appendLogOfTask" | "drainWorker" | "leaveWorker";
        WorkerRegistered: {
            /** Format: int64 */
            heartbeatMs: number;
            id: string;
            /** Format: int64 */
            leaseMs: number;
        };
        /** @enum {string} */
        WorkerState: "online" | "draining" | "offline" | "kicked";
        WorkerView: components["schemas"]["NewWorker"] & {
            bannedUntil?: components["schemas"]["Timestamp"] | null;
            heard: components["schemas"]["Timestamp"];
            id: string;
            load?: components["schemas"]["WorkerLoad"] | null;
            registered: components["schemas"]["Timestamp"];
            /** Format: int32 */
            running: number;
            state: components["schemas"]["WorkerState"];
        };
    };
    responses: {
        Problem: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
    };
    parameters: never;
    requestBodies: never;
    headers: never;
    pathItems: never;
}
export type $defs = Record<string, never>;
export interface operations {
    testTarget: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["Target"];
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Tested"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    listAudit: {
        parameters: {
            query?: {
                limit?: number;
                cursor?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Page_AuditEntry"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    getCommit: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                commit: components["schemas"]["UploadId"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["UploadOutcome"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    sendCommit: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                commit: components["schemas"]["UploadId"];
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/vnd.jobtracker.commit": number[];
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["UploadOutcome"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    listCommitTrees: {
        parameters: {
            query?: {
                limit?: number;
                cursor?: string;
            };
            header?: never;
            path: {
                commit: components["schemas"]["UploadId"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Page_TreeResult"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    listFailedDeliveries: {
        parameters: {
            query?: {
                from?: components["schemas"]["Timestamp"];
                to?: components["schemas"]["Timestamp"];
                limit?: number;
                cursor?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Page_Delivery"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    replayFailed: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["ReplayFailed"];
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Replayed"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    cancelDelivery: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                delivery: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            default: components["responses"]["Problem"];
        };
    };
    replayDelivery: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                delivery: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            default: components["responses"]["Problem"];
        };
    };
    events: {
        parameters: {
            query: {
                topic: components["schemas"]["Topic"][];
                ids?: string;
                /** @example state,log */
                kinds?: string;
                states?: string;
                /** @example states=Faulted&limit=20 */
                filter?: string;
                everyMs?: number;
                after?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/event-stream": components["schemas"]["ServerFrame"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    exportTrees: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["ExportRequest"];
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/zstd": string;
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    listHandlers: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Page_HandlerView"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    reserveIds: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["ReserveIds"];
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["IdBlock"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    createJob: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewJob"];
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Created"];
                };
            };
            201: {
                headers: {
                    location?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Created"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    getRows: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["WindowQuery"];
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Snapshot"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    getStates: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["StateQuery"];
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["JobStates"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    getJob: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: components["schemas"]["JobId"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Job"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    deleteTree: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: components["schemas"]["JobId"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["DeletedTree"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    listActions: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: components["schemas"]["JobId"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Page_JobAction"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    addAction: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: components["schemas"]["JobId"];
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["Action"];
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Added"];
                };
            };
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Added"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    testAction: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: components["schemas"]["JobId"];
                number: number;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Tested"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    listAncestors: {
        parameters: {
            query?: {
                ranks?: boolean;
                /** @example row */
                fields?: "all" | "row";
            };
            header?: never;
            path: {
                id: components["schemas"]["JobId"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Ancestors_JobItem"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    listAttachments: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: components["schemas"]["JobId"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Attachments"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    getAttachment: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: components["schemas"]["JobId"];
                key: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    putAttachment: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: components["schemas"]["JobId"];
                key: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "text/plain": string;
            };
        };
        responses: {
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            default: components["responses"]["Problem"];
        };
    };
    deleteAttachment: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: components["schemas"]["JobId"];
                key: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            default: components["responses"]["Problem"];
        };
    };
    listBlockers: {
        parameters: {
            query?: {
                limit?: number;
                cursor?: string;
                path?: boolean;
                /** @example row */
                fields?: "all" | "row";
            };
            header?: never;
            path: {
                id: components["schemas"]["JobId"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Page_BlockerItem"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    cancelTree: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: components["schemas"]["JobId"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["CancelledTree"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    listChanges: {
        parameters: {
            query?: {
                /** @example newest */
                order?: "oldest" | "newest";
                limit?: number;
                cursor?: string;
            };
            header?: never;
            path: {
                id: components["schemas"]["JobId"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Page_Change"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    reportChange: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: components["schemas"]["JobId"];
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewChange"];
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Updated"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    listChecks: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: components["schemas"]["JobId"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Page_JobCheck"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    addCheck: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: components["schemas"]["JobId"];
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewCheck"];
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Added"];
                };
            };
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Added"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    cancelCheck: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: components["schemas"]["JobId"];
                number: number;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            default: components["responses"]["Problem"];
        };
    };
    listChildren: {
        parameters: {
            query?: {
                /** @example Faulted,Running */
                states?: string;
                namePrefix?: string;
                /** @example newest */
                order?: "oldest" | "newest";
                /** @example 900000 */
                offset?: number;
                limit?: number;
                cursor?: string;
                /** @example row */
                fields?: "all" | "row";
            };
            header?: never;
            path: {
                id: components["schemas"]["JobId"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ChildrenPage_JobItem"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    createChildren: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: components["schemas"]["JobId"];
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewChildren"];
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["CreatedChildren"];
                };
            };
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["CreatedChildren"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    listDeliveries: {
        parameters: {
            query?: {
                limit?: number;
                cursor?: string;
            };
            header?: never;
            path: {
                id: components["schemas"]["JobId"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["DeliveryPage"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    listDescendants: {
        parameters: {
            query?: {
                /** @example Faulted,Running */
                states?: string;
                limit?: number;
                cursor?: string;
                /** @example row */
                fields?: "all" | "row";
                /** @example csv */
                format?: "json" | "ndjson" | "csv";
            };
            header?: never;
            path: {
                id: components["schemas"]["JobId"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Page_JobItem"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    readLog: {
        parameters: {
            query?: {
                /** @example start */
                from?: string;
                search?: string;
                limit?: number;
                cursor?: string;
                /** @example text */
                format?: "json" | "text";
            };
            header?: never;
            path: {
                id: components["schemas"]["JobId"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    "x-next-cursor"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Page_LogLine"];
                    "text/plain": string;
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    appendLog: {
        parameters: {
            query?: {
                appendId?: string;
            };
            header?: never;
            path: {
                id: components["schemas"]["JobId"];
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewLogLines"];
                "text/plain": string;
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["LogAppended"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    updateOptions: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: components["schemas"]["JobId"];
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewOptions"];
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Job"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    getPath: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: components["schemas"]["JobId"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["JobPath"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    getShape: {
        parameters: {
            query?: {
                depth?: number;
                jobs?: number;
            };
            header?: never;
            path: {
                id: components["schemas"]["JobId"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Shape"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    getState: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: components["schemas"]["JobId"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["JobState"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    getStatistics: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: components["schemas"]["JobId"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Statistics"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    getTask: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: components["schemas"]["JobId"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TaskView"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    cancelTask: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: components["schemas"]["JobId"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TaskView"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    createChildrenOfTask: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: components["schemas"]["JobId"];
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["TaskChildren"];
            };
        };
        responses: {
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["CreatedChildren"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    appendLogOfTask: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: components["schemas"]["JobId"];
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["TaskLog"];
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["LogAppended"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    pauseTask: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: components["schemas"]["JobId"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TaskView"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    reportTask: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: components["schemas"]["JobId"];
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["TaskReport"];
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TaskReported"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    resumeTask: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: components["schemas"]["JobId"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TaskView"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    getTimeline: {
        parameters: {
            query?: {
                limit?: number;
            };
            header?: never;
            path: {
                id: components["schemas"]["JobId"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Timeline"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    waitForState: {
        parameters: {
            query?: {
                /** @example RanToCompletion,Faulted */
                states?: string;
                timeoutMs?: number;
            };
            header?: never;
            path: {
                id: components["schemas"]["JobId"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Waited"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    live: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            101: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ServerFrame"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    getOverview: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Overview"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    previewSchedule: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NextFires"];
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["PlannedTimes"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    listQueue: {
        parameters: {
            query?: {
                /** @example leased,ready */
                states?: string;
                /** @example billing/report */
                handler?: string;
                worker?: string;
                limit?: number;
                cursor?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Page_QueuedTask"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    countQueue: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["QueueCounts"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    previewRetentionRule: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["RetentionRule"];
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["RetentionPreview"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    listRetentionRules: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Page_NamedRetentionRule"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    putRetentionRule: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                name: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["RetentionRule"];
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["NamedRetentionRule"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    deleteRetentionRule: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            default: components["responses"]["Problem"];
        };
    };
    listRoots: {
        parameters: {
            query?: {
                from?: components["schemas"]["Timestamp"];
                to?: components["schemas"]["Timestamp"];
                namePrefix?: string;
                createdBy?: string;
                /** @example linux,slow */
                tags?: string;
                /** @example Faulted,Running */
                states?: string;
                /** @example subtree.failed > 0 && createTime > timestamp('2026-11-21T00:00:00Z') */
                expression?: string;
                /** @example oldest */
                order?: "oldest" | "newest";
                limit?: number;
                cursor?: string;
                total?: boolean;
                /** @example row */
                fields?: "all" | "row";
                /** @example 60 */
                histogram?: number;
                /** @example csv */
                format?: "json" | "ndjson" | "csv";
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["RootPage_JobItem"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    listSchedules: {
        parameters: {
            query?: {
                namePrefix?: string;
                limit?: number;
                cursor?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Page_Schedule"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    createSchedule: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewSchedule"];
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Schedule"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    getSchedule: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Schedule"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    replaceSchedule: {
        parameters: {
            query?: never;
            header?: {
                "If-Match"?: string | null;
            };
            path: {
                name: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["ScheduleDefinition"];
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Schedule"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    deleteSchedule: {
        parameters: {
            query?: never;
            header?: {
                "If-Match"?: string | null;
            };
            path: {
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            default: components["responses"]["Problem"];
        };
    };
    disableSchedule: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Schedule"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    enableSchedule: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Schedule"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    listFirings: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Page_Firing"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    listNextFires: {
        parameters: {
            query?: {
                n?: number;
            };
            header?: never;
            path: {
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["PlannedTimes"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    registerSchedule: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                name: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["RegisterSchedule"];
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ScheduleRegistered"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    triggerSchedule: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                name: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["TriggerSchedule"];
            };
        };
        responses: {
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Triggered"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    getSession: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Session"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    createSession: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["NewSession"] | null;
            };
        };
        responses: {
            200: {
                headers: {
                    "set-cookie"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Session"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    endSession: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            204: {
                headers: {
                    "set-cookie"?: string;
                    [name: string]: unknown;
                };
                content?: never;
            };
            default: components["responses"]["Problem"];
        };
    };
    listTokens: {
        parameters: {
            query?: {
                limit?: number;
                cursor?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Page_Token"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    createToken: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewToken"];
            };
        };
        responses: {
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["CreatedToken"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    revokeToken: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            default: components["responses"]["Problem"];
        };
    };
    listWorkers: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Page_WorkerView"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    registerWorker: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewWorker"];
            };
        };
        responses: {
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["WorkerRegistered"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    workerSocket: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            101: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["WorkerAnswer"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    getWorker: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["WorkerView"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    leaveWorker: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            default: components["responses"]["Problem"];
        };
    };
    claimTasks: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                name: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["ClaimTasks"];
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ClaimedTasks"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    drainWorker: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["WorkerView"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    heartbeat: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                name: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["Heartbeat"];
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Orders"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    kickWorker: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                name: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["KickWorker"];
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["WorkerView"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    health: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Health"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    metrics: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/openmetrics-text": string;
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    openapi: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": Record<string, never>;
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    ready: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Health"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
}
