// The points in WebGL: positions and colours lie on the card, a frame sets four numbers.

const VERTEX = `
attribute vec2 place; attribute vec4 colour;
uniform vec2 centre, scale; uniform float size;
varying vec4 tint;
void main() { gl_Position = vec4((place - centre) * scale, 0.0, 1.0); gl_PointSize = colour.a > 0.3 ? size : size * 0.7; tint = colour; }`;
const FRAGMENT = `
precision mediump float; varying vec4 tint;
void main() {
  float far = length(gl_PointCoord - 0.5);
  float edge = 1.0 - smoothstep(0.40, 0.5, far);
  if (edge <= 0.0) discard;
  gl_FragColor = vec4(tint.rgb, 1.0) * tint.a * edge;
}`;

/** A painter for a canvas, or null where there is no WebGL, or one that is played by the processor. */
export function glPainter(canvas, always = false) {
  const gl = canvas.getContext("webgl", { antialias: false, premultipliedAlpha: true, alpha: true });
  if (!gl || (!always && isSoftware(gl))) return null;
  const program = gl.createProgram();
  for (const [kind, text] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, text);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS)) return null;
  gl.useProgram(program);
  gl.enable(gl.BLEND);
  gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
  const at = (name) => gl.getUniformLocation(program, name);
  const [centre, scale, size] = [at("centre"), at("scale"), at("size")];
  let many = 0;

  function load(name, values, width, kind, even) {
    const buffer = gl.createBuffer();
    const place = gl.getAttribLocation(program, name);
    gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
    gl.bufferData(gl.ARRAY_BUFFER, values, gl.STATIC_DRAW);
    gl.enableVertexAttribArray(place);
    gl.vertexAttribPointer(place, width, kind, even, 0, 0);
  }
  return {
    name: "WebGL",
    points(x, y) {
      many = x.length;
      const both = new Float32Array(2 * many);
      for (let i = 0; i < many; i += 1) { both[2 * i] = x[i]; both[2 * i + 1] = y[i]; }
      load("place", both, 2, gl.FLOAT, false);
    },
    colours(rgba) {
      load("colour", rgba, 4, gl.UNSIGNED_BYTE, true);
    },
    draw(view, diameter, ratio) {
      gl.viewport(0, 0, canvas.width, canvas.height);
      gl.clearColor(0, 0, 0, 0);
      gl.clear(gl.COLOR_BUFFER_BIT);
      gl.uniform2f(centre, view.x, view.y);
      gl.uniform2f(scale, (2 * view.scale) / view.width, (2 * view.scale) / view.height);
      gl.uniform1f(size, diameter * ratio);
      gl.drawArrays(gl.POINTS, 0, many);
    },
  };
}

// Without a graphics card the plain canvas is faster than WebGL in software.
function isSoftware(gl) {
  const about = gl.getExtension("WEBGL_debug_renderer_info");
  return /swiftshader|llvmpipe|softpipe|software|basic render/i.test(about ? gl.getParameter(about.UNMASKED_RENDERER_WEBGL) : gl.getParameter(gl.RENDERER));
}
