// Preloaded into a Node server: it listens on loopback only, on any free port, and prints the address.
import net from 'node:net';

const listen = net.Server.prototype.listen;
net.Server.prototype.listen = function (_port, ...rest) {
  this.once('listening', () => console.log(`http://127.0.0.1:${this.address().port}/mcp`));
  return listen.call(this, { port: 0, host: '127.0.0.1' }, ...rest);
};
