"use strict";
// The two large charts. Their numbers come from the site every 15 seconds, while the page is seen.

{
  const REFRESH = 15_000;
  const HEIGHT = 260;
  const place = document.getElementById("charts");
  const drawn = new Map();
  let numbers = null;

  const color = (name) => {
    const probe = document.createElement("i");
    probe.style.color = `var(--${name})`;
    place.append(probe);
    const found = getComputedStyle(probe).color;
    probe.remove();
    return found;
  };
  const faded = (text, share) => text.replace(/rgb\((.*)\)/, `rgba($1, ${share})`);

  const seconds = (value) => {
    if (value === null || value === undefined) return "-";
    if (value < 0.0995) return `${Number((1000 * value).toPrecision(3))} ms`;
    if (value < 60) return `${Number(value.toPrecision(3))} s`;
    if (value < 3600) return `${Number((value / 60).toPrecision(3))} min`;
    return `${Number((value / 3600).toPrecision(3))} h`;
  };
  const count = (value) => (value === null || value === undefined ? "-" : value.toLocaleString(document.documentElement.lang));

  const common = (chart, step) => {
    const axis = { stroke: color("quiet"), grid: { stroke: color("line"), width: 1 }, ticks: { show: false }, font: "12px system-ui, sans-serif" };
    const days = step >= 86400;
    const format = new Intl.DateTimeFormat(document.documentElement.lang, {
      timeZone: numbers.zone,
      ...(days ? { day: "numeric", month: "short" } : { hour: "2-digit", minute: "2-digit", hourCycle: "h23" }),
    });
    const full = new Intl.DateTimeFormat(document.documentElement.lang, {
      timeZone: numbers.zone, day: "numeric", month: "short", ...(days ? {} : { hour: "2-digit", minute: "2-digit", hourCycle: "h23" }),
    });
    return {
      width: chart.clientWidth,
      height: HEIGHT,
      tzDate: (at) => uPlot.tzDate(new Date(at * 1000), numbers.zone),
      cursor: { drag: { x: false, y: false }, points: { size: 6 } },
      legend: { live: true },
      axes: [
        { ...axis, grid: { show: false }, space: 60, size: 30, values: (_plot, splits) => splits.map((at) => format.format(at * 1000)) },
        { ...axis, size: 64 },
      ],
      // Half a step of room, so that the first and the last bar are whole.
      x: { range: (_plot, least, most) => [least - step / 2, most + step / 2] },
      first: { label: chart.dataset.from, value: (_plot, at) => (at === null ? "-" : full.format(at * 1000)) },
    };
  };

  // Outcomes, stacked: the topmost series is the sum of all and is drawn first.
  const outcomes = (chart) => {
    const { axes, first, x, ...options } = common(chart, numbers.every);
    const used = numbers.ends.filter((end) => end.kind === "done" || end.values.some(Boolean));
    const sums = [];
    for (const end of used) {
      const below = sums.length ? sums[sums.length - 1] : null;
      sums.push(end.values.map((value, at) => value + (below ? below[at] : 0)));
    }
    const bars = uPlot.paths.bars({ size: [0.72, 40], radius: 0.15 });
    const top = [...used.keys()].reverse();
    const series = top.map((index) => ({
      label: used[index].label,
      stroke: color(`end-${used[index].kind}`),
      fill: color(`end-${used[index].kind}`),
      width: 0,
      paths: bars,
      points: { show: false },
      value: (_plot, _sum, _series, at) => count(at === null ? null : used[index].values[at]),
    }));
    axes[1].values = (_plot, splits) => splits.map((value) => (Number.isInteger(value) ? count(value) : ""));
    const range = (_plot, _least, most) => [0, most ? most * 1.08 : 1];
    return {
      options: { ...options, axes, series: [first, ...series], scales: { x, y: { range } } },
      data: [numbers.at, ...top.map((index) => sums[index])],
    };
  };

  const percentiles = (chart) => {
    const { axes, first, x, ...options } = common(chart, numbers.every);
    const looks = { 50: { width: 1.25, share: 0.65 }, 95: { width: 2, share: 1 }, 99: { width: 1.25, share: 0.85, dash: [4, 4] } };
    const series = numbers.times.map((time) => {
      const look = looks[time.share];
      return {
        label: time.label,
        stroke: faded(color(`time-${time.kind}`), look.share),
        width: look.width,
        dash: look.dash,
        points: { show: numbers.times.every(({ values }) => values.filter((value) => value !== null).length < 3) },
        value: (_plot, value) => seconds(value),
      };
    });
    const whole = (value) => (Number.isInteger(Math.round(1e6 * Math.log10(value)) / 1e6) ? value : null);
    axes[1].filter = (_plot, splits) => splits.map(whole);
    axes[1].grid = { ...axes[1].grid, filter: (_plot, splits) => splits.map(whole) };
    axes[1].values = (_plot, splits) => splits.map((value) => (value === null ? "" : seconds(value)));
    const range = (_plot, least, most) => (most ? [10 ** Math.floor(Math.log10(least)), 10 ** Math.ceil(Math.log10(most * 1.01))] : [0.001, 1]);
    return {
      options: { ...options, axes, series: [first, ...series], scales: { x, y: { distr: 3, log: 10, range } } },
      data: [numbers.at, ...numbers.times.map((time) => time.values)],
    };
  };

  const kinds = { ends: outcomes, times: percentiles };

  const draw = () => {
    if (numbers === null) return;
    for (const chart of place.querySelectorAll("[data-chart]")) {
      const { options, data } = kinds[chart.dataset.chart](chart);
      drawn.get(chart)?.destroy();
      drawn.set(chart, new uPlot(options, data, chart));
    }
    place.dataset.drawn = numbers.at.length;
  };

  const refresh = async () => {
    if (document.hidden) return;
    try {
      const answer = await fetch(place.dataset.url, { headers: { Accept: "application/json" } });
      if (!answer.ok) return;
      const text = await answer.text();
      if (text === refresh.last) return;
      refresh.last = text;
      numbers = JSON.parse(text);
      draw();
    } catch {
      // The live part says that the site does not answer.
    }
  };

  new ResizeObserver(() => {
    for (const [chart, plot] of drawn) {
      if (chart.clientWidth !== plot.width) plot.setSize({ width: chart.clientWidth, height: HEIGHT });
    }
  }).observe(place);
  document.addEventListener("taskq:theme", draw);
  document.addEventListener("visibilitychange", refresh);
  setInterval(refresh, REFRESH);
  refresh();
}
