// janus-whep-server in front of Janus' mountpoint 1: `node whep_server.mjs FOLDER_OF_NODE_MODULES`.

const { JanusWhepServer } = await import(`${process.argv[2]}/janus-whep-server/src/whep.js`);

const server = new JanusWhepServer({
  janus: { address: "ws://127.0.0.1:8188" },
  rest: { port: 7090, basePath: "/whep" },
});
await server.start();
server.createEndpoint({ id: "picture", mountpoint: 1 });
console.log("ready: http://127.0.0.1:7090/whep/endpoint/picture");
