// Judges an open dashboard: panels in error, pale text, cut text of tiles and the header, bare tables,
// red figures with and without a link, the smallest type in pixels; and lists its links.
() => {
  const channel = v => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; };
  const parse = text => (text.match(/[\d.]+/g) || []).map(Number);
  const light = c => 0.2126 * channel(c[0]) + 0.7152 * channel(c[1]) + 0.0722 * channel(c[2]);
  const behind = element => {
    for (let e = element; e; e = e.parentElement) {
      const c = parse(getComputedStyle(e).backgroundColor);
      if (c.length && (c.length < 4 || c[3] > 0.5)) return c;
    }
    return [255, 255, 255];
  };
  const contrast = element => {
    const [a, b] = [light(parse(getComputedStyle(element).color)), light(behind(element))];
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  };
  const texts = root => [...root.querySelectorAll('*')].filter(e =>
    [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim()) && e.offsetParent);
  // Whether something hides a part of a text at its left or right, with an ellipsis or without.
  const isCut = (element, within) => {
    const range = document.createRange();
    range.selectNodeContents(element);
    const text = range.getBoundingClientRect();
    for (let e = element; e && e !== within; e = e.parentElement) {
      if (!['hidden', 'clip'].includes(getComputedStyle(e).overflowX)) continue;
      const box = e.getBoundingClientRect();
      if (text.left < box.left - 1 || text.right > box.right + 1) return true;
    }
    return false;
  };
  const RED = ['208,31,51', '161,18,58'];
  const out = {pale: [], cut: [], bare: [], dead: [], red: [], links: [], smallest: [Infinity, ''], open: 0, errors: []};
  const sections = [...document.querySelectorAll('section[data-testid^="data-testid Panel header"]')];
  out.open = sections.length;
  for (const section of sections) {
    const title = section.getAttribute('data-testid').replace('data-testid Panel header', '').trim();
    if (section.querySelector('[data-testid="data-testid Panel status error"]')) out.errors.push(title);
    const stat = section.querySelector('[data-testid="data-testid panel content"]') || section;
    const isGrid = section.querySelector('[role="grid"], [role="table"]');
    const isTile = !isGrid && !section.querySelector('canvas') && !section.querySelector('.uplot');
    for (const e of texts(stat)) {
      const size = parseFloat(getComputedStyle(e).fontSize);
      if (size < out.smallest[0]) out.smallest = [size, `${title}: ${e.textContent.trim().slice(0, 40)}`];
      const [own, whole] = [e.getBoundingClientRect(), section.getBoundingClientRect()];
      if (isTile && title !== '' && (own.top < whole.top - 2 || own.bottom > whole.bottom + 2))
        out.cut.push(`beyond its tile: ${title}: ${e.textContent.trim().slice(0, 40)}`);
      if (isTile && isCut(e, section))
        out.cut.push(`cut in its tile: ${title || 'header'}: ${e.textContent.trim().slice(0, 40)}`);
      if (isTile || isGrid) {
        if (RED.includes(behind(e).slice(0, 3).join())) {
          const link = e.closest('a[href]') || e.querySelector('a[href]');
          const text = e.textContent.trim().slice(0, 40);
          if (link) out.red.push([title, text, link.getAttribute('href')]);
          else out.dead.push(`${title}: ${text}`);
        }
        const c = contrast(e);
        if (c < 4.5) out.pale.push(`${title}: ${e.textContent.trim().slice(0, 40)} ${c.toFixed(1)}:1`);
      }
      if (title === '') {
        if (e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).overflow !== 'visible')
          out.cut.push(`cut in the header: ${e.textContent.trim().slice(0, 60)}`);
      }
    }
    for (const link of section.querySelectorAll('a[href]')) out.links.push([title, link.getAttribute('href')]);
    if (title === '') {
      const box = section.querySelector('[data-testid="data-testid panel content"]');
      const beyond = box && [...box.querySelectorAll('*')].find(e => (e.scrollHeight > e.clientHeight + 1
        || e.scrollWidth > e.clientWidth + 1) && ['auto', 'scroll', 'hidden'].includes(getComputedStyle(e).overflowY));
      if (beyond) out.cut.push(`text scrolls: ${beyond.scrollWidth} by ${beyond.scrollHeight} px in `
        + `${beyond.clientWidth} by ${beyond.clientHeight}: ${beyond.textContent.trim().slice(0, 40)}`);
    }
    if (isGrid && !isGrid.querySelector('[role="columnheader"]')) out.bare.push(title);
  }
  return out;
}
